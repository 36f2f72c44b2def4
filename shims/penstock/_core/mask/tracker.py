"""Follows one channel of text as it arrives and says, as early as is safe, what of it is masked.

In: pieces of decoded text, cut anywhere. Out: how far the text is final, and the masked stretches up to there; both in
bytes from the channel's begin. The stretches do not depend on how the text was cut.

A byte is final when no match that covers it is still possible: it lies before every live beginning (Finder.look) and no
find reaches over it. Only what is not final is kept, with one byte of context before it. A secret without a longest
length is held for OPEN_LIMIT bytes, which name it; what follows until its end is masked as it arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from penstock._core.mask.find import OPEN_LIMIT, Find, order
from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint

__all__ = ["HELD_LIMIT", "Stretch", "TextStream", "Tracker", "stretches"]

HELD_LIMIT = 1 << 18
"""Bytes that a channel may hold back; a text that needs more is refused."""
CLOSE_OVERLAP = 128
"""Bytes kept while waiting for the end of an endless secret: more than any closing pattern is wide."""


@dataclass(slots=True)  # not frozen: that makes it four times as dear to create
class Stretch:
    """Holds one masked stretch [start, end); token is b"" where it goes on from the stretch before."""

    start: int
    end: int
    token: bytes = field(repr=False)


class Tracker:
    """Tracks one channel; `final` is how far its text is final."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._finder = finder
        self._mint = mint
        self._held = b""
        self._context = 0  # bytes of _held that are final already and serve as context only
        self._endless: list[Find] = []
        self._also: list[Find] = []
        self.final = 0

    @property
    def fed(self) -> int:
        """Returns how many bytes were fed."""
        return self.final + len(self._held) - self._context

    def feed(self, data: bytes, *, last: bool = False, also: Sequence[Find] = ()) -> list[Stretch]:
        """Takes the next piece; returns the stretches that became final. last: nothing follows. Raises Unmaskable.

        also: finds inside of the piece that something else made known, in bytes from its begin.
        """
        if also:
            self._also += [_moved(find, self.fed) for find in also]
        held = self._held + data if self._held else data
        context = self._context
        if len(held) == context:
            return []
        fresh, cut = self._finder.look(held, context, last=last)
        base = self.final - context
        done: list[Stretch] = []
        if fresh or self._endless or self._also:
            cut, done = self._settle(held, fresh, cut, base, last=last)
        self.final = base + cut
        keep = cut - 1 if cut else 0
        self._held = held[keep:]
        self._context = cut - keep
        if len(self._held) > HELD_LIMIT:
            raise Unmaskable("a run of overlapping secrets has no end")
        return done

    def _settle(self, held: bytes, fresh: list[Find], cut: int, base: int, *, last: bool) -> tuple[int, list[Stretch]]:
        """Returns how far the held text is final, and the stretches up to there."""
        context = self._context
        running = [_going_on(find, held, context) for find in self._endless]
        inside = {find.kind for find in running if not find.closed}
        fresh = [find for find in fresh if find.until is None or find.kind not in inside]
        if self._also:
            fresh = sorted([*fresh, *(_moved(find, -base) for find in self._also)], key=order)
        if not last:
            cut = _final_to(cut, running, fresh, context, len(held))
        inside_to = max([context, *(min(find.end, cut) for find in running)])
        final = [find for find in fresh if find.low < cut]
        done = stretches(final, self._mint, to=cut, inside=(context, inside_to), base=base)
        self._endless = [find for find in running if not find.closed or cut <= find.close]
        self._endless += [find for find in fresh if find.until is not None and not find.closed and find.low < cut]
        self._also = [find for find in self._also if find.high > base + cut]
        return cut, done


def stretches(
    finds: Sequence[Find], mint: Mint, *, to: int, inside: tuple[int, int] = (0, 0), base: int = 0
) -> list[Stretch]:
    """Returns the union of sorted finds up to some place: each chain of finds that overlap is one stretch.

    inside: where a stretch goes on that began before. base: is added to all places.
    """
    finds = [find for find in finds if find.start < find.end]
    result: list[Stretch] = []
    (start, end), token = inside, b""
    at = 0
    while True:
        while at < len(finds) and finds[at].start < end:
            end = max(end, min(finds[at].end, to))
            at += 1
        if start < end:
            result.append(Stretch(base + start, base + end, token))
        if at == len(finds):
            return result
        named = _naming(finds, at)
        token = mint.token(named.kind, named.value)
        start, end = finds[at].start, min(finds[at].end, to)


def _going_on(find: Find, held: bytes, context: int) -> Find:
    """Returns what is held of an endless secret that began before, with its end if that has come."""
    close = find.until.search(held, context)
    if close is None:
        return replace(find, low=context, start=context, end=len(held), high=len(held))
    end = close.start() if find.keep_end else close.end()
    return replace(find, low=context, start=context, end=end, high=close.end(), close=close.start(), closed=True)


def _final_to(cut: int, running: list[Find], fresh: list[Find], context: int, size: int) -> int:
    """Returns the cut, moved forward so that it lies in nothing that more text could change."""
    spans = []
    for find in running:
        if find.closed:
            spans.append((find.close, find.high))
        else:
            cut = min(cut, max(context, size - CLOSE_OVERLAP))
    for find in fresh:
        if find.until is None or find.closed:
            spans.append((find.low, find.high))
        elif size - find.low < OPEN_LIMIT:
            cut = min(cut, find.low)
        else:
            cut = min(cut, max(find.low, size - CLOSE_OVERLAP))
    for low, high in sorted(spans, reverse=True):
        if low < cut < high:
            cut = low
    return cut


def _naming(finds: Sequence[Find], at: int) -> Find:
    """Returns the find that names the stretch which begins with finds[at]: a known value inside of it, or itself."""
    first = finds[at]
    limit = first.low + OPEN_LIMIT
    for index in range(at, len(finds)):
        find = finds[index]
        if find.start >= first.end:
            break
        if find.known and find.end <= limit:
            return find
    return first


def _moved(find: Find, by: int) -> Find:
    return replace(find, low=find.low + by, high=find.high + by, start=find.start + by, end=find.end + by)


class TextStream:
    """Masks one stream of text."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._tracker = Tracker(finder, mint)
        self._pending = b""
        self._offset = 0

    def feed(self, data: bytes, *, last: bool = False, also: Sequence[Find] = ()) -> bytes:
        """Takes the next piece; returns what became final, masked; see Tracker.feed."""
        stretches = self._tracker.feed(data, last=last, also=also)
        pending = self._pending + data if self._pending else data
        cut = self._tracker.final - self._offset
        out = []
        at = 0
        for stretch in stretches:
            out.append(pending[at : stretch.start - self._offset])
            out.append(stretch.token)
            at = stretch.end - self._offset
        out.append(pending[at:cut])
        self._pending = pending[cut:]
        self._offset += cut
        return b"".join(out)

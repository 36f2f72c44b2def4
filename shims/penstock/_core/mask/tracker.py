"""Follows one channel of text as it arrives and says, as early as is safe, what of it is masked.

In: pieces of decoded text, cut anywhere. Out: how far the text is final, and the masked stretches up to there; both in
bytes from the channel's begin. The stretches do not depend on how the text was cut.

A byte is final when no match that covers it is still possible: it lies before every live prefix (finder.live) and no
find reaches over it. Only what is not final is kept, with one byte of context before it. A secret without a longest
length is held for OPEN_LIMIT bytes, which name it; what follows until its end is masked as it arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from penstock._core.mask.finder import OPEN_LIMIT, Find, Finder, order
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint

__all__ = ["HELD_LIMIT", "Stretch", "TextStream", "Tracker"]

HELD_LIMIT = 1 << 18
"""Bytes that a channel may hold back; a text that needs more is refused."""
CLOSE_OVERLAP = 128
"""Bytes kept while waiting for the end of an endless secret: more than any closing pattern is wide."""


@dataclass(frozen=True, slots=True)
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
        """Takes the next piece; returns the stretches that became final. last: nothing follows.

        also: finds inside of the piece that something else made known, in bytes from its begin.
        """
        self._also = [*self._also, *(_moved(find, self.fed) for find in also)]
        held = self._held = self._held + data
        context = self._context
        if len(held) == context:
            return []
        running = [self._going_on(find) for find in self._endless]
        inside = {find.kind for find in running if not find.closed}
        fresh = [find for find in self._finder.finds(held, context) if find.until is None or find.kind not in inside]
        base = self.final - context
        if self._also:
            fresh = sorted([*fresh, *(_moved(find, -base) for find in self._also)], key=order)
        cut = self._cut(running, fresh, last=last)
        done = self._stretches([find for find in fresh if find.low < cut], running, cut, base)
        self._endless = [find for find in running if not find.closed or cut <= find.close]
        self._endless += [find for find in fresh if find.until is not None and not find.closed and find.low < cut]
        self.final = base + cut
        self._also = [find for find in self._also if find.high > self.final]
        keep = max(cut - 1, 0)
        self._held, self._context = held[keep:], cut - keep
        if len(self._held) > HELD_LIMIT:
            raise Unmaskable("a run of overlapping secrets has no end")
        return done

    def _going_on(self, find: Find) -> Find:
        """Returns what is held of an endless secret that began before, with its end if that has come."""
        held, context = self._held, self._context
        close = find.until.search(held, context)
        if close is None:
            return replace(find, low=context, start=context, end=len(held), high=len(held))
        end = close.start() if find.keep_end else close.end()
        return replace(find, low=context, start=context, end=end, high=close.end(), close=close.start(), closed=True)

    def _cut(self, running: list[Find], fresh: list[Find], *, last: bool) -> int:
        """Returns up to where in the held text nothing can change any more."""
        held, context = self._held, self._context
        if last:
            return len(held)
        cut = self._finder.live(held, context)
        spans = []
        for find in running:
            if find.closed:
                spans.append((find.close, find.high))
            else:
                cut = min(cut, max(context, len(held) - CLOSE_OVERLAP))
        for find in fresh:
            if find.until is None or find.closed:
                spans.append((find.low, find.high))
            elif len(held) - find.low < OPEN_LIMIT:
                cut = min(cut, find.low)
            else:
                cut = min(cut, max(find.low, len(held) - CLOSE_OVERLAP))
        for low, high in sorted(spans, reverse=True):
            if low < cut < high:
                cut = low
        return cut

    def _stretches(self, fresh: list[Find], running: list[Find], cut: int, base: int) -> list[Stretch]:
        """Returns the union of the finds up to the cut; a stretch is named by a known value in its first find, if any."""
        result: list[Stretch] = []
        finds = [find for find in fresh if find.start < find.end]
        end = max((min(find.end, cut) for find in running), default=0)
        start, token = self._context, b""
        at = 0
        if end <= start:
            end = -1
        while True:
            while at < len(finds) and finds[at].start < end:
                end = max(end, min(finds[at].end, cut))
                at += 1
            if end >= 0:
                result.append(Stretch(base + start, base + end, token))
            if at == len(finds):
                return result
            named = _naming(finds, at)
            start, end, token = finds[at].start, min(finds[at].end, cut), self._mint.token(named.kind, named.value)


def _moved(find: Find, by: int) -> Find:
    return replace(find, low=find.low + by, high=find.high + by, start=find.start + by, end=find.end + by)


def _naming(finds: list[Find], at: int) -> Find:
    """Returns the find that names the stretch which begins with finds[at]."""
    first = finds[at]
    limit = first.low + OPEN_LIMIT
    for index in range(at, len(finds)):
        if finds[index].start >= first.end:
            break
        if finds[index].known and finds[index].end <= limit:
            return finds[index]
    return first


class TextStream:
    """Masks one stream of text: feed and finish return what may be passed on."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._tracker = Tracker(finder, mint)
        self._pending = b""
        self._offset = 0

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next piece; returns what became final, masked. last: nothing follows."""
        pending = self._pending + data
        stretches = self._tracker.feed(data, last=last)
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

    def finish(self) -> bytes:
        """Returns the rest."""
        return self.feed(b"", last=True)

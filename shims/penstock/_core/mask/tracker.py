"""Follows one channel of text as it arrives and says, as early as is safe, what of it is masked.

In: pieces of decoded text, cut anywhere. Out: how far the text is final, and the masked stretches up to there; both in
bytes from the channel's begin. The stretches do not depend on how the text was cut.

Every find that begins before the last live beginning (Finder.look) is settled: more text can change neither it nor
that it is there. So the text is looked through once, from there on; only what is behind is kept, with one byte of
context. A byte before it is final, unless it is in a stretch that has no name yet: what a detector finds is told by the
name of a known value inside of it. A secret without a longest length is held for OPEN_LIMIT bytes, which name it; what
follows until its end is masked as it arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from penstock._core.mask.endless import ENDLESS, Endless
from penstock._core.mask.find import OPEN_LIMIT, Find, order
from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint

__all__ = ["HELD_LIMIT", "Stretch", "TextStream", "Tracker", "stretches"]

HELD_LIMIT = 1 << 18
"""Bytes that a channel may hold back; a text that needs more is refused: what begins a longer known value."""


@dataclass(slots=True)  # not frozen: that makes it four times as dear to create
class Stretch:
    """Holds one masked stretch [start, end); token is b"" where it goes on from the stretch before."""

    start: int
    end: int
    token: bytes = field(repr=False)


class Tracker:
    """Tracks one channel; `final` is how far its text is final, `fed` how many bytes were fed."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._finder = finder
        self._mint = mint
        self._held = b""  # the last bytes that were fed: all that is not looked through, and one byte before it
        self._live = 0  # where the next look begins: what begins before is settled
        self._finds: list[Find] = []  # in stretches that are not told yet, sorted
        self._endless = Endless()
        self._inside = 0  # where the stretch ends that was told last
        self.final = 0
        self.fed = 0

    def feed(self, data: bytes, *, last: bool = False, also: Sequence[Find] = ()) -> list[Stretch]:
        """Takes the next piece; returns the stretches that became final. last: nothing follows. Raises Unmaskable.

        also: finds inside of the piece that something else made known, in bytes from its begin.
        """
        held = self._held + data if self._held else data
        before = self.fed
        self.fed = size = before + len(data)
        if self.final == size or not (data or last):
            return []
        base = size - len(held)
        fresh, live = self._finder.look(held, self._live - base, last=last)
        if last:  # an upstream that closes early gives nothing away: what began as a known value is masked as such
            fresh = sorted([*fresh, *self._finder.cut_off(held, self._live - base)], key=order)
        self._live = keep = live + base
        done: list[Stretch] = []
        if fresh or also or self._finds or self._endless or self._inside > self.final:
            keep, done = self._settle(held, fresh, data, also, last=last)
        else:
            self.final = keep
        self._held = held[max(min(keep, self._live) - 1 - base, 0) :]
        if size - self.final > HELD_LIMIT:
            raise Unmaskable("what could be a secret is too long to be held back")
        return done

    def _settle(
        self, held: bytes, fresh: list[Find], data: bytes, also: Sequence[Find], *, last: bool
    ) -> tuple[int, list[Stretch]]:
        """Returns from where on the text must be kept, and the stretches that became final."""
        size = self.fed
        base = size - len(held)
        for find in self._endless.follow(held, base, data) if self._endless else ():
            if find.start < self.final:
                self._inside = max(self._inside, find.end)
        new = [_moved(find, size - len(data)) for find in also]
        for find in fresh:
            if find.low + base < self._live and find.start < find.end:
                find = _moved(find, base)
                new.append(find)
                if find.until is not None and not find.closed:
                    self._endless.add(find, size)
        if new:
            self._finds = sorted([*self._finds, *new], key=order)
        if last:
            self._endless.end(size)
        bound = size if last else min(self._live, self._endless.searched(size))
        return bound, self._stretches(bound)

    def _stretches(self, bound: int) -> list[Stretch]:
        """Returns the stretches before `bound`, up to the first that has no name yet, and moves `final`."""
        finds = [find for find in self._finds if find.start < find.end]
        done: list[Stretch] = []
        start = self.final
        end = ENDLESS if self._endless.covers(start) else self._inside
        at, token = 0, b""
        while True:
            while at < len(finds) and finds[at].start < min(end, bound):
                end = max(end, finds[at].end)
                at += 1
            if start < min(end, bound):
                done.append(Stretch(start, min(end, bound), token))
            self.final = bound
            if end > bound or at == len(finds) or finds[at].start >= bound:
                break
            named = _naming(finds, at, bound)
            if named is None:
                self.final = finds[at].start
                break
            token = self._mint.token(named.kind, named.value)
            start, end = finds[at].start, finds[at].end
        self._inside = max([self._inside, *(find.end for find in finds[:at] if find.end != ENDLESS)])
        self._finds = finds[at:]
        return done


def stretches(finds: Sequence[Find], mint: Mint, *, to: int) -> list[Stretch]:
    """Returns the union of sorted finds up to some place: each chain of finds that overlap is one stretch."""
    finds = [find for find in finds if find.start < find.end]
    result: list[Stretch] = []
    at = 0
    while at < len(finds):
        named = _naming(finds, at, ENDLESS)
        assert named is not None
        start, end = finds[at].start, min(finds[at].end, to)
        while at < len(finds) and finds[at].start < end:
            end = max(end, min(finds[at].end, to))
            at += 1
        result.append(Stretch(start, end, mint.token(named.kind, named.value)))
    return result


def _naming(finds: Sequence[Find], at: int, bound: int) -> Find | None:
    """Returns the find that names the stretch which begins with finds[at]: a known value inside of it, or itself.

    None if that is not known yet: what begins behind `bound` may still come.
    """
    first = finds[at]
    limit = first.low + OPEN_LIMIT
    for index in range(at, len(finds)):
        find = finds[index]
        if find.start >= min(first.end, bound):
            break
        if find.known and find.end <= limit:
            return find
    return first if min(first.end, limit) <= bound else None


def _moved(find: Find, by: int) -> Find:
    """Returns a find with its places moved."""
    return replace(
        find,
        low=find.low + by,
        high=find.high + by,
        start=find.start + by,
        end=find.end + by,
        opened=find.opened + by,
        close=find.close + by,
    )


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

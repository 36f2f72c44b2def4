"""Follows the secrets without a longest length that have begun in a text and whose end has not come yet.

In: the finds that open them, and the text as it arrives. Out: their ends; how far the text is known to hold none. All
places are bytes from the begin of the text.
"""

from penstock._core.mask.find import OPEN_LIMIT, Find, Until

__all__ = ["ENDLESS", "Endless"]

ENDLESS = 1 << 62
"""Where a secret ends whose end has not come: behind all text."""


class Endless:
    """Holds what is open. Of several that one end closes, only the first is kept: it covers the others."""

    def __init__(self) -> None:
        self._open: dict[str, list[Find]] = {}
        self._searched: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def searched(self, size: int) -> int:
        """Returns before which byte no end begins that has not been told, of a text of this size."""
        return min(self._searched.values(), default=size)

    def covers(self, place: int) -> bool:
        """Returns whether something is open that begins before the place."""
        return any(find.start < place for finds in self._open.values() for find in finds)

    def add(self, find: Find, size: int) -> None:
        """Takes one find that a text of this size does not close."""
        find.end = find.high = ENDLESS
        self._open.setdefault(find.kind, []).append(find)
        self._keep(find.kind, _until(find), size)

    def follow(self, held: bytes, base: int, data: bytes) -> list[Find]:
        """Takes the next piece, and all text from `base` on; returns what it closes, with its end."""
        size = base + len(held)
        before = size - len(data)
        closed = []
        for kind, finds in list(self._open.items()):
            for find in finds:
                if before < find.low + OPEN_LIMIT:
                    find.value += data[: find.low + OPEN_LIMIT - before]
            closed += self._close(kind, _until(finds[0]), held, base)
            self._keep(kind, _until(finds[0]), size)
        return closed

    def end(self, size: int) -> None:
        """Ends all that is open where the text ends."""
        for finds in self._open.values():
            for find in finds:
                find.end = find.high = size

    def _close(self, kind: str, until: Until, held: bytes, base: int) -> list[Find]:
        closed: list[Find] = []
        at = self._searched[kind]
        while finds := self._open[kind]:
            at = max(at, min(find.opened for find in finds))
            match = until.pattern.search(held, at - base)
            if match is None:
                break
            low, high = base + match.start(), base + match.end()
            self._open[kind] = [find for find in finds if find.opened > low]
            for find in finds:
                if find.opened <= low:
                    find.closed, find.close, find.high = True, low, high
                    find.end = low if until.keep_end else high
                    find.value = find.value[: find.end - find.start]
                    closed.append(find)
        return closed

    def _keep(self, kind: str, until: Until, size: int) -> None:
        """Notes that the text of this size is searched, and drops what another covers."""
        finds = self._open[kind]
        if not finds:
            del self._open[kind], self._searched[kind]
            return
        searched = max(size - until.width + 1, min(find.opened for find in finds))
        self._searched[kind] = searched
        alike = [find for find in finds if find.opened <= searched]
        first = min(alike, key=lambda find: find.start)
        for find in alike:
            if find is not first:
                find.end = find.start
        self._open[kind] = [first, *(find for find in finds if find.opened > searched)]


def _until(find: Find) -> Until:
    assert find.until is not None
    return find.until

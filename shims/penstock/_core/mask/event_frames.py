"""Cuts a text/event-stream into its events, and an event into its lines, without changing a byte.

In: bytes cut anywhere. Out: the raw bytes of each event with the blank line that ends it, and its lines.
Source: WHATWG HTML, "Server-sent events": lines end in CR, LF or CRLF; one BOM may come first.
"""

import re
from dataclasses import dataclass, field

from penstock._core.mask.outcome import Unmaskable

__all__ = ["EVENT_LIMIT", "Frames", "Line", "lines"]

EVENT_LIMIT = 1 << 20
"""Bytes of the longest event that is masked."""

_BLANK = re.compile(rb"\r\n?\r\n?|\n\r\n?|\n\n")
_LINE = re.compile(rb"[^\r\n]+")
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Line:
    """Holds what of a line may be masked, [start, end) of the event: the value of a data line, else all of the line."""

    is_data: bool
    start: int
    end: int
    text: bytes = field(repr=False)


class Frames:
    """Cuts at blank lines; more blank lines belong to the event that follows."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes, *, last: bool = False) -> list[bytes]:
        """Returns the events that are complete; with `last`, also one that lacks its blank line. Raises Unmaskable."""
        buffer = self._buffer
        buffer += data
        events = []
        at = 0
        match = _BLANK.search(buffer, max(self._searched - 2, 0))
        while match is not None:
            _check(match.end() - at)
            events.append(bytes(buffer[at : match.end()]))
            at = match.end()
            match = _BLANK.search(buffer, at)
        del buffer[:at]
        self._searched = len(buffer)
        _check(len(buffer))
        if last and buffer:
            events.append(bytes(buffer))
            buffer.clear()
        return events


def _check(size: int) -> None:
    if size > EVENT_LIMIT:
        raise Unmaskable("an event without end, or one too long to be masked")


def lines(event: bytes) -> list[Line]:
    """Returns the lines of an event that are not empty."""
    found = []
    for match in _LINE.finditer(event):
        start, end = match.span()
        if start == 0 and event.startswith(_BOM):
            start = len(_BOM)
        if is_data := event.startswith(b"data:", start):
            start += 6 if event.startswith(b" ", start + 5) and start + 5 < end else 5
        found.append(Line(is_data, start, end, event[start:end]))
    return found

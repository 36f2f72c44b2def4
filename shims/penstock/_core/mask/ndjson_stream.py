"""Masks lines of JSON (NDJSON): some services tell texts in pieces that way, so each line is an event.

In: bytes cut anywhere. Out: the same lines in the same order, masked. After the first line that is not JSON, all is
masked as one JSON body.
"""

from penstock._core.mask.event_frames import EVENT_LIMIT, Line
from penstock._core.mask.event_stream import Events
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import is_json
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import Named
from penstock._core.mask.token import Mint

__all__ = ["NdjsonStream"]

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\x1e"
"""What may stand around a value: a record of a JSON text sequence (RFC 7464) begins with RS."""


class NdjsonStream:
    """Masks one body of JSON lines."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None) -> None:
        self._events = Events(finder, mint, named)
        self._rest = JsonStream(finder, mint, named, strict=True)
        self._in_rest = False
        self._is_first = True
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns the lines that are final. Raises Unmaskable. last: nothing follows."""
        if self._in_rest:
            return self._rest.feed(data, last=last)
        buffer = self._buffer
        buffer += data
        at = 0
        while not self._in_rest:
            end = buffer.find(b"\n", max(at, self._searched)) + 1
            if end == 0:
                if not last or at == len(buffer):
                    break
                end = len(buffer)
            if end - at > EVENT_LIMIT:
                break
            if self._take(bytes(buffer[at:end])):
                at = end
            else:
                self._in_rest = True
        del buffer[:at]
        if len(buffer) > EVENT_LIMIT and not self._in_rest:
            raise Unmaskable("a line is too long to be masked")
        self._searched = len(buffer)
        if not self._in_rest:
            return self._events.final(last=last)
        rest = bytes(buffer)
        buffer.clear()
        return self._events.final(last=True) + self._rest.feed(rest, last=last)

    def _take(self, line: bytes) -> bool:
        """Takes one line; returns False if it is not one JSON value."""
        if self._events.take_alike(line):
            return True
        text = line.removeprefix(_BOM).strip(_BLANK) if self._is_first else line.strip(_BLANK)
        self._is_first = False
        if text and not is_json(text):
            return False
        start = line.find(text)
        found = [Line(True, start, start + len(text), text)] if text else []
        self._events.take(line, found, complete=text[:1] not in (b"{", b"[", b'"'))
        return True

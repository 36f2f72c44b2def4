"""Masks lines of JSON (NDJSON): some services tell texts in pieces that way, so each line is an event.

In: bytes cut anywhere. Out: the same lines in the same order, masked. After the first line that is not JSON,
all is masked as one JSON body.
"""

from penstock._core.mask.event_frames import EVENT_LIMIT, Line
from penstock._core.mask.event_stream import Events
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_reader import JsonReader
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import Named
from penstock._core.mask.token import Mint

__all__ = ["NdjsonStream"]


class NdjsonStream:
    """Masks one body of JSON lines."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None) -> None:
        self._events = Events(finder, mint, named)
        self._rest = JsonStream(finder, mint, named, strict=True)
        self._in_rest = False
        self._buffer = bytearray()

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns the lines that are final. Raises Unmaskable. last: nothing follows."""
        if self._in_rest:
            return self._rest.feed(data, last=last)
        searched = len(self._buffer)
        self._buffer += data
        at = 0
        while not self._in_rest:
            end = self._buffer.find(b"\n", max(at, searched)) + 1
            if end == 0:
                if not last or at == len(self._buffer):
                    break
                end = len(self._buffer)
            line = bytes(self._buffer[at:end])
            if self._take(line):
                at = end
            else:
                self._in_rest = True
        del self._buffer[:at]
        if self._in_rest:
            rest = bytes(self._buffer)
            self._buffer.clear()
            return self._events.final(last=True) + self._rest.feed(rest, last=last)
        if len(self._buffer) > EVENT_LIMIT:
            raise Unmaskable("a line is too long to be masked")
        return self._events.final(last=last)

    def _take(self, line: bytes) -> bool:
        """Takes one line; returns False if it is not one JSON value."""
        text = line.strip()
        if self._events.take_alike(line):
            return True
        if text:
            reader = JsonReader()
            reader.buffer += text
            reader.read(last=True)
            if reader.broken or text[:1] not in (b"{", b"["):
                return False
        start = line.find(text)
        self._events.take(line, [Line(True, start, start + len(text), text)] if text else [])
        return True

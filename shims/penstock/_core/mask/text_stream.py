"""Masks text and forms, and puts maskers behind each other.

In: bytes cut anywhere. Out: the same, masked.
"""

import re
from typing import Protocol

from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.percent import percent_finds
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["FIELD_LIMIT", "Checked", "FormStream", "Piped", "ProseStream", "Stream"]

FIELD_LIMIT = 1 << 20
"""Bytes of the longest field of a form that is masked."""


class Stream(Protocol):
    """Masks one body."""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        ...


class FormStream:
    """Masks a form: as text, and each field decoded."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._finder = finder
        self._text = TextStream(finder, mint)
        self._field = bytearray()

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        field = self._field
        field += data
        end = len(field) if last else field.rfind(b"&") + 1
        out = [
            self._text.feed(part, also=percent_finds(self._finder, part, plus=True))
            for part in _fields(bytes(field[:end]))
        ]
        del field[:end]
        if len(field) > FIELD_LIMIT:
            raise Unmaskable("a field of a form is too long to be masked")
        if last:
            out.append(self._text.feed(b"", last=True))
        return b"".join(out)


def _fields(data: bytes) -> list[bytes]:
    """Returns the fields, each with the "&" that ends it."""
    parts = data.split(b"&")
    return [part + b"&" for part in parts[:-1]] + parts[-1:]


_NO_PROSE = re.compile(rb"\\u00[2-7]|[\r\n]data:")
_NO_PROSE_WIDTH = 6


class ProseStream:
    """Masks as text what began like JSON or events and is too long for either.

    Refuses what would hide something from text in them: an ASCII character that is escaped, more data of events.
    """

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._text = TextStream(finder, mint)
        self._before = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        seen = self._before + data
        if _NO_PROSE.search(seen):
            raise Unmaskable("a value of JSON or an event is too long to be masked")
        self._before = seen[-_NO_PROSE_WIDTH:]
        return self._text.feed(data, last=last)


class Piped:
    """Masks what one stream lets out with another."""

    def __init__(self, first: Stream, second: Stream) -> None:
        self._first = first
        self._second = second

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        return self._second.feed(self._first.feed(data, last=last), last=last)


class Checked:
    """Refuses what a stream lets out if a known value stands in it across parts of JSON: no token can replace it there.

    Needed for secrets that are JSON themselves, and for the like.
    """

    def __init__(self, stream: Stream, finder: Finder) -> None:
        self._stream = stream
        self._found = Mint(b"")
        self._output = TextStream(finder.known, self._found)

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        out = self._output.feed(self._stream.feed(data, last=last), last=last)
        if self._found.counts:
            raise Unmaskable("a known value stands across parts of JSON, where it cannot be replaced")
        return out

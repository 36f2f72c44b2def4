"""Masks text that is not JSON or events: plain text, forms, and text that turns out to be JSON.

In: bytes cut anywhere. Out: the same, masked.
"""

from typing import Protocol

from penstock._core.mask.finder import Finder
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.percent import percent_finds
from penstock._core.mask.pointer import Named
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["FIELD_LIMIT", "FormStream", "SniffedStream", "Stream"]

FIELD_LIMIT = 1 << 20
"""Bytes of the longest field of a form that is masked."""
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


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


class SniffedStream:
    """Masks text; what begins like JSON is read as JSON, whatever it is called."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None) -> None:
        self._finder = finder
        self._mint = mint
        self._named = named
        self._begin = b""
        self._stream: Stream | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        if self._stream is None:
            data = self._begin + data
            text = data[len(_BOM) :] if data.startswith(_BOM) else data
            first = text.lstrip(_SPACE)[:1]
            if not last and (not first or _BOM.startswith(data)) and len(data) <= FIELD_LIMIT:
                self._begin = data
                return b""
            if first in (b"{", b"["):
                self._stream = JsonStream(self._finder, self._mint, self._named, strict=False)
            else:
                self._stream = TextStream(self._finder, self._mint)
        return self._stream.feed(data, last=last)

"""Masks text: forms, and text that turns out to be JSON or events, whatever it is called.

In: bytes cut anywhere. Out: the same, masked.
"""

from typing import Protocol

from penstock._core.mask.event_stream import EventStream
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.partial import prefixes
from penstock._core.mask.patterns import compiled
from penstock._core.mask.percent import percent_finds
from penstock._core.mask.pointer import Named
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["FIELD_LIMIT", "FormStream", "SniffedStream", "Stream", "is_plain"]

FIELD_LIMIT = 1 << 20
"""Bytes of the longest field of a form that is masked."""
SNIFFED = 512
"""Bytes after which what has not turned out to be JSON or events is text."""

_SKIPPED = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_EVENTS_SOURCE = r"(?:(?:event|id):[^\r\n]{0,200}(?:\r\n|\r|\n)){0,2}data: ?[\[{]"
_EVENTS = compiled(_EVENTS_SOURCE)
_MAY_BE_EVENTS = compiled(prefixes(_EVENTS_SOURCE))
_UNSURE = frozenset(byte.to_bytes(1, "big") for byte in _BOM[:1] + _SKIPPED + b"dei")


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


def is_plain(data: bytes) -> bool:
    """Returns whether the first byte of a body shows that it is neither JSON nor events."""
    return data[:1] not in _UNSURE and data[:1] not in (b"{", b"[")


class SniffedStream:
    """Masks a body that may not be what its type says: many clients read events, or JSON, whatever it is called."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None, *, strict: bool) -> None:
        """strict: the body is called JSON."""
        self._finder = finder
        self._mint = mint
        self._named = named
        self._strict = strict
        self._begin = b""
        self._stream: Stream | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        if self._stream is None:
            data = self._begin + data
            self._stream = self._chosen(data[:SNIFFED], last=last or len(data) >= SNIFFED)
            self._begin = data if self._stream is None else b""
            if self._stream is None:
                return b""
        return self._stream.feed(data, last=last)

    def _chosen(self, begin: bytes, *, last: bool) -> Stream | None:
        """Returns the stream for a body with this begin, None if that cannot be told yet."""
        if not last and _BOM.startswith(begin):
            return None
        text = begin.removeprefix(_BOM).lstrip(_SKIPPED)
        if _EVENTS.match(text):
            return EventStream(self._finder, self._mint, self._named)
        if not last and _MAY_BE_EVENTS.fullmatch(text):
            return None
        if self._strict or text[:1] in (b"{", b"["):
            return JsonStream(self._finder, self._mint, self._named, strict=self._strict)
        return TextStream(self._finder, self._mint)

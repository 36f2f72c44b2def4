"""Masks a body that may not be what its type says: many clients read events, lines or JSON, whatever they are called.

In: bytes cut anywhere. Out: the same, masked by the reader that its first bytes call for.
"""

from penstock._core.mask.content import Kind
from penstock._core.mask.event_stream import EventStream
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import is_container
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.ndjson_stream import NdjsonStream
from penstock._core.mask.partial import prefixes
from penstock._core.mask.patterns import compiled
from penstock._core.mask.pointer import Named
from penstock._core.mask.text_stream import Checked, Piped, Stream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["DocumentStream", "SniffedStream", "is_plain"]

SNIFFED = 1024
"""Bytes after which what has not turned out to be anything else is what it is called."""
FIRST_LINE = 4096
"""Bytes within which the first of several lines of JSON must end, to be told from one document."""

_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_EVENTS_SOURCE = r"(?:(?:event|id|retry)?:[^\r\n]*(?:\r\n|\r|\n){1,2})*data:[ {\[\r\n]"
_SHIELD_SOURCE = r"\)\]\}'[^\n]{0,20}\n|for ?\(;;\);|while ?\((?:1|true)\);"
_EVENTS = compiled(_EVENTS_SOURCE)
_SHIELD = compiled(_SHIELD_SOURCE)  # what some put before JSON, so that it is no script
_UNDECIDED = compiled(f"{prefixes(_EVENTS_SOURCE)}|{prefixes(_SHIELD_SOURCE)}")
_UNSURE = frozenset(byte.to_bytes(1, "big") for byte in _BOM[:1] + _SPACE + b"deir:)fw{[")


def is_plain(data: bytes) -> bool:
    """Returns whether the first byte of a body shows that it is neither JSON nor events."""
    return data[:1] not in _UNSURE


class SniffedStream:
    """Masks one body of some kind, or what it turns out to be."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None, kind: Kind) -> None:
        self._finder = finder
        self._mint = mint
        self._named = named
        self._kind = kind
        self._begin = b""
        self._stream: Stream | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        if self._stream is not None:
            return self._stream.feed(data, last=last)
        data = self._begin + data
        begin = data[:SNIFFED]
        text = begin.removeprefix(_BOM).lstrip(_SPACE)
        is_sure = last or len(data) >= SNIFFED
        shield = _SHIELD.match(text)
        if shield:
            text = text[shield.end() :].lstrip(_SPACE)
        if not is_sure and (_BOM.startswith(begin) or _UNDECIDED.fullmatch(text)):
            self._begin = data
            return b""
        self._begin = b""
        shielded = len(begin) - len(text) if shield else 0
        self._stream = self._guarded(self._chosen(text))
        return data[:shielded] + self._stream.feed(data[shielded:], last=last)

    def _chosen(self, text: bytes) -> Stream:
        finder, mint, named, kind = self._finder, self._mint, self._named, self._kind
        if kind is Kind.LINES and not _EVENTS.match(text):
            return NdjsonStream(finder, mint, named)
        if text[:1] in (b"{", b"["):
            return DocumentStream(finder, mint, named, strict=kind is not Kind.TEXT and kind is not Kind.BINARY)
        if kind is Kind.EVENTS:
            return EventStream(finder, mint, named)
        if _EVENTS.match(text):  # it may be text all the same, so that it is masked as text, too
            return Piped(EventStream(finder, mint, named), TextStream(finder, mint))
        return JsonStream(finder, mint, named, strict=True) if kind is Kind.JSON else TextStream(finder, mint)

    def _guarded(self, stream: Stream) -> Stream:
        """Returns the stream, and where a known value could stand across parts of JSON, what finds it there."""
        if not self._finder.may_span or isinstance(stream, TextStream):
            return stream
        if self._kind in (Kind.TEXT, Kind.BINARY):
            return Piped(stream, TextStream(self._finder.known, self._mint))
        return Checked(stream, self._finder)


class DocumentStream:
    """Masks JSON: one document, or lines of JSON if the first line is a document by itself."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None, *, strict: bool) -> None:
        self._lines = NdjsonStream(finder, mint, named)
        self._document = JsonStream(finder, mint, named, strict=strict)
        self._begin = bytearray()
        self._stream: Stream | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns what may go out. last: nothing follows. Raises Unmaskable."""
        if self._stream is not None:
            return self._stream.feed(data, last=last)
        begin = self._begin
        searched = len(begin)
        begin += data
        first = len(begin) - len(begin.removeprefix(_BOM).lstrip(_SPACE))
        end = begin.find(b"\n", max(searched, first), first + FIRST_LINE)
        if end < 0 and not last and len(begin) - first < FIRST_LINE:
            return b""
        self._stream = self._lines if end >= 0 and is_container(bytes(begin[first:end])) else self._document
        self._begin = bytearray()
        return self._stream.feed(bytes(begin), last=last)

"""Masks what an upstream answers: picks the reader for the content, compiles what is to be found once.

In: known values, a mask specification, content with its type. Out: masked content, or Unmaskable.
"""

from collections.abc import Mapping, Sequence

from penstock._core.mask.content import Kind, encoding_problem, kind_of, type_problem
from penstock._core.mask.event_stream import EventStream
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.ndjson_stream import NdjsonStream
from penstock._core.mask.outcome import NOTHING_MASKED, Masked, Unmaskable
from penstock._core.mask.percent import percent_finds
from penstock._core.mask.pointer import matcher
from penstock._core.mask.text_stream import FormStream, SniffedStream, Stream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream
from penstock._core.verdict import KnownValue, MaskSpec

__all__ = ["BodyMask", "Masker"]

QUICK_LIMIT = 1 << 20
"""Bytes of the longest body that a scan of its raw bytes may clear: as much as the readers hold of one value."""
_NESTING = 512
"""Brackets that a body may hold to be cleared without being read: as deep as the reader of JSON goes."""
_QUICK = frozenset({Kind.JSON, Kind.TEXT})
_NUL_PROBLEM = "text with NUL bytes cannot be masked: it may be UTF-16"


class BodyMask:
    """Masks one body as it arrives."""

    def __init__(self, stream: Stream | None, mint: Mint, *, nul_allowed: bool) -> None:
        self._stream = stream
        self._mint = mint
        self._nul_allowed = nul_allowed

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns how many stretches of each kind were replaced so far."""
        return self._mint.counts

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes; returns what may go out now. Raises Unmaskable."""
        if self._stream is None:
            return chunk
        if b"\0" in chunk and not self._nul_allowed:
            raise Unmaskable(_NUL_PROBLEM)
        return self._stream.feed(chunk)

    def finish(self) -> bytes:
        """Returns the rest. Raises Unmaskable."""
        return b"" if self._stream is None else self._stream.feed(b"", last=True)


class Masker:
    """Masks with one set of known values and one specification; for one thread at a time.

    Compiled parts are shared by all maskers with the same values or detectors. Raises ValueError for an unknown
    detector and for what is no JSON pointer.
    """

    def __init__(self, known_values: Sequence[KnownValue], spec: MaskSpec) -> None:
        self._finder = Finder(known_values, spec.detectors)
        self._headers = frozenset(f"header:{name}" for name in spec.headers)
        self._named = matcher(spec.json)
        self._reads_all = bool(spec.detectors or spec.json)
        self._passes = not (self._finder.active or spec.json)
        self.active = bool(self._finder.active or spec.json or spec.headers)
        """False if there is nothing to mask: then bytes may pass untouched."""

    def text(self, value: bytes, *, key: bytes, place: str) -> Masked:
        """Returns one block of text, masked. place: such as "query" or "header:location"; some headers go whole."""
        finder = self._finder
        if place in self._headers:
            mint = Mint(key)
            return Masked(mint.token("header", value), mint.counts)
        encoded = b"%" in value or (b"+" in value and place == "query")
        also = percent_finds(finder, value, plus=place == "query") if encoded else []
        if not also and not finder.occurs(value):
            return Masked(value, NOTHING_MASKED)
        mint = Mint(key)
        data = TextStream(finder, mint).feed(value, last=True, also=also)
        return Masked(data, mint.counts) if mint.counts else Masked(value, NOTHING_MASKED)

    def body(self, content_type: str, content_encoding: str, *, key: bytes) -> BodyMask:
        """Returns the mask for one body; raises Unmaskable if such content cannot be decoded."""
        mint = Mint(key)
        if self._passes:
            return BodyMask(None, mint, nul_allowed=True)
        kind = self._kind(content_type, content_encoding)
        nul_allowed = not self._reads_all and kind in (Kind.TEXT, Kind.BINARY)
        return BodyMask(self._stream(kind, mint), mint, nul_allowed=nul_allowed)

    def whole(self, content_type: str, content_encoding: str, data: bytes, *, key: bytes) -> Masked:
        """Returns a body that is all there, masked as `body` does; the same object if nothing was found."""
        if self._passes:
            return Masked(data, NOTHING_MASKED)
        if self._is_clear(self._kind(content_type, content_encoding), data):
            return Masked(data, NOTHING_MASKED)
        body = self.body(content_type, content_encoding, key=key)
        masked = body.feed(data) + body.finish()
        return Masked(masked, body.counts) if body.counts else Masked(data, NOTHING_MASKED)

    def _is_clear(self, kind: Kind, data: bytes) -> bool:
        """Returns whether the raw bytes show that nothing is to be masked.

        Without a backslash each string of JSON stands in the body as it is, between quotes: what is not found in the
        raw bytes is not in any of them.
        """
        if kind not in _QUICK or self._named is not None or len(data) > QUICK_LIMIT or b"\\" in data or b"\0" in data:
            return False
        if len(data) > _NESTING and data.count(b"{") + data.count(b"[") > _NESTING:
            return False
        return not self._finder.occurs_raw(data)

    def _kind(self, content_type: str, content_encoding: str) -> Kind:
        """Returns how the content is read; raises Unmaskable if it cannot be."""
        if content_encoding and (problem := encoding_problem(content_encoding)):
            raise Unmaskable(problem)
        kind, problem = kind_of(content_type)
        if problem and kind is not Kind.BINARY:
            raise Unmaskable(problem)
        if kind is Kind.BINARY and self._reads_all:
            raise Unmaskable(type_problem(content_type))
        return kind

    def _stream(self, kind: Kind, mint: Mint) -> Stream:
        finder, named = self._finder, self._named
        if kind is Kind.JSON:
            return JsonStream(finder, mint, named, strict=True)
        if kind is Kind.LINES:
            return NdjsonStream(finder, mint, named)
        if kind is Kind.EVENTS:
            return EventStream(finder, mint, named)
        if kind is Kind.FORM:
            return FormStream(finder, mint)
        return SniffedStream(finder, mint, named) if kind is Kind.TEXT else TextStream(finder, mint)

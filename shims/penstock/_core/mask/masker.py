"""Masks what an upstream answers: picks the reader for the content, compiles what is to be found once.

In: known values, a mask specification, content with its type. Out: masked content, or Unmaskable.
"""

from collections.abc import Mapping, Sequence

from penstock._core.mask.content import (
    PACKED_PROBLEM,
    Kind,
    encoding_problem,
    is_packed,
    kind_of,
    may_be_packed,
    type_problem,
)
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_quick import masked_document
from penstock._core.mask.json_reader import DEPTH_LIMIT
from penstock._core.mask.outcome import NOTHING_MASKED, Masked, Unmaskable
from penstock._core.mask.percent import percent_finds
from penstock._core.mask.pointer import matcher
from penstock._core.mask.sniffed_stream import SniffedStream, is_plain
from penstock._core.mask.text_stream import FormStream, Stream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream
from penstock._core.verdict import KnownValue, MaskSpec

__all__ = ["BodyMask", "Masker"]

QUICK_LIMIT = 1 << 20
"""Bytes of the longest body that a scan of its raw bytes may clear: as much as the readers hold of one value."""
_QUICK = frozenset({Kind.JSON, Kind.TEXT})
_OPENING = (b"{", b"[")
_CLOSING = (b"}", b"]")
_NUL_PROBLEM = "text with NUL bytes cannot be masked: it may be UTF-16"


class BodyMask:
    """Masks one body as it arrives."""

    def __init__(self, stream: Stream | None, mint: Mint, *, nul_allowed: bool) -> None:
        self._stream = stream
        self._mint = mint
        self._nul_allowed = nul_allowed
        self._begin: bytes | None = b""  # None once it is known not to be packed

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns how many stretches of each kind were replaced so far."""
        return self._mint.counts

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes; returns what may go out now. Raises Unmaskable."""
        if self._stream is None:
            return chunk
        if self._begin is not None:
            self._begin += chunk[:4]
            if is_packed(self._begin):
                raise Unmaskable(PACKED_PROBLEM)
            if not may_be_packed(self._begin):
                self._begin = None
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
        kind = self._kind(content_type, content_encoding)
        is_json = kind in _QUICK and data[:1] in _OPENING
        if (
            (is_json or (kind is Kind.TEXT and is_plain(data) and not is_packed(data)))
            and self._named is None
            and self._is_short(data)
        ):
            end = data.find(b"\n") if is_json else -1
            may_be_lines = end >= 0 and data[:end].rstrip()[-1:] in _CLOSING
            if b"\\" not in data and not (may_be_lines and data[end:].strip()) and not self._finder.occurs_raw(data):
                return Masked(data, NOTHING_MASKED)  # each string of JSON stands in the body as it is, between quotes
            if is_json and not may_be_lines and not self._finder.may_span:
                mint = Mint(key)
                quick = masked_document(self._finder, mint, data)
                if quick is not None:
                    return Masked(quick, mint.counts) if mint.counts else Masked(data, NOTHING_MASKED)
        body = self.body(content_type, content_encoding, key=key)
        masked = body.feed(data) + body.finish()
        return Masked(masked, body.counts) if body.counts else Masked(data, NOTHING_MASKED)

    @staticmethod
    def _is_short(data: bytes) -> bool:
        """Returns whether the body is of a size that the readers never refuse."""
        size = len(data)
        if size > QUICK_LIMIT or b"\0" in data:
            return False
        return size <= DEPTH_LIMIT or data.count(b"{") + data.count(b"[") <= DEPTH_LIMIT

    def _kind(self, content_type: str, content_encoding: str) -> Kind:
        """Returns how the content is read; raises Unmaskable if it cannot be."""
        if content_encoding and (problem := encoding_problem(content_encoding)):
            raise Unmaskable(problem)
        kind, problem = kind_of(content_type)
        if problem and kind is not Kind.BINARY:
            raise Unmaskable(problem)
        if kind is Kind.PACKED:
            raise Unmaskable(PACKED_PROBLEM)
        if kind is Kind.BINARY and self._reads_all:
            raise Unmaskable(type_problem(content_type))
        return kind

    def _stream(self, kind: Kind, mint: Mint) -> Stream:
        if kind is Kind.FORM:
            return FormStream(self._finder, mint)
        return SniffedStream(self._finder, mint, self._named, kind)

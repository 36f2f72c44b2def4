"""Masks what an upstream answers: picks the reader for the content, compiles what is to be found once.

In: known values, a mask specification, content with its type. Out: masked content, or Unmaskable.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock._core.mask.event_stream import EventStream
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_stream import JsonStream
from penstock._core.mask.outcome import NOTHING_MASKED, Masked, Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream
from penstock._core.verdict import KnownValue, MaskSpec

__all__ = ["BodyMask", "Masker"]

_TEXT_TYPES = frozenset(
    {"", "application/x-www-form-urlencoded", "application/xml", "application/javascript", "application/ecmascript"}
)
_JSON_TYPES = frozenset({"application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"})


class _Stream(Protocol):
    def feed(self, data: bytes, *, last: bool = False) -> bytes: ...


class BodyMask:
    """Masks one body as it arrives; feed and finish return what may go out and raise Unmaskable."""

    def __init__(self, stream: _Stream | None, mint: Mint) -> None:
        self._stream = stream
        self._mint = mint

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns how many stretches of each kind were replaced so far."""
        return self._mint.counts

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes; returns what may go out now."""
        return chunk if self._stream is None else self._stream.feed(chunk)

    def finish(self) -> bytes:
        """Returns the rest."""
        return b"" if self._stream is None else self._stream.feed(b"", last=True)


class Masker:
    """Masks with one set of known values and one specification; cheap to make again with the same ones."""

    def __init__(self, known_values: Sequence[KnownValue], spec: MaskSpec) -> None:
        self._finder = Finder(known_values, spec.detectors)
        self._spec = spec
        self.active = bool(self._finder.active or spec.json or spec.headers)

    def text(self, value: bytes, *, key: bytes, place: str) -> Masked:
        """Returns one block of text, masked. place: such as "query" or "header:location"; some headers go whole."""
        if place.startswith("header:") and place[7:] in self._spec.headers:
            mint = Mint(key)
            return Masked(mint.token("header", value), mint.counts)
        if not self._finder.occurs(value):
            return Masked(value, NOTHING_MASKED)
        mint = Mint(key)
        data = TextStream(self._finder, mint).feed(value, last=True)
        return Masked(data, mint.counts) if mint.counts else Masked(value, NOTHING_MASKED)

    def body(self, content_type: str, content_encoding: str, *, key: bytes) -> BodyMask:
        """Returns the mask for one body; raises Unmaskable if such content cannot be decoded."""
        mint = Mint(key)
        return BodyMask(self._stream(content_type, content_encoding, mint), mint)

    def whole(self, content_type: str, content_encoding: str, data: bytes, *, key: bytes) -> Masked:
        """Returns a body that is all there, masked; the same object if nothing was found. Raises Unmaskable."""
        mint = Mint(key)
        stream = self._stream(content_type, content_encoding, mint)
        if stream is None:
            return Masked(data, NOTHING_MASKED)
        masked = stream.feed(data, last=True)
        return Masked(masked, mint.counts) if mint.counts else Masked(data, NOTHING_MASKED)

    def _stream(self, content_type: str, content_encoding: str, mint: Mint) -> _Stream | None:
        if not (self._finder.active or self._spec.json):
            return None
        if (coding := content_encoding.strip().lower()) not in ("", "identity"):
            raise Unmaskable(f"sent with content-encoding {coding[:40]!a}, which cannot be masked")
        media = content_type.split(";", 1)[0].strip().lower()
        if media in _JSON_TYPES or media.endswith("+json"):
            return JsonStream(self._finder, mint, self._spec.json, strict=True)
        if media == "text/event-stream":
            return EventStream(self._finder, mint, self._spec.json)
        if media in _TEXT_TYPES or media.startswith(("text/", "multipart/")) or media.endswith("+xml"):
            return TextStream(self._finder, mint)
        if self._spec.detectors or self._spec.json:
            raise Unmaskable(f"content of type {media[:60]!a} cannot be masked")
        return TextStream(self._finder, mint)

"""Masks JSON as it arrives: copies its bytes, and changes only the leaves in which something was found.

In: bytes of one JSON text or of several, cut anywhere. Out: the same with masked leaves, as soon as each is complete.
What is not JSON is scanned as text from where it stops being JSON.
"""

from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import LeafMask, spliced
from penstock._core.mask.json_reader import JsonReader
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import Named
from penstock._core.mask.text_stream import ProseStream, Stream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["JsonStream"]

_QUICK_FROM = 1024
"""Bytes from which on a piece is scanned as it is, to spare the decoding of what holds nothing."""


class JsonStream:
    """Masks one JSON body. With pointers to follow, it refuses what is broken; strict: also what is no JSON at all."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None, *, strict: bool) -> None:
        self._leaves = LeafMask(finder, mint)
        self._reader = JsonReader(named, lenient=not strict and named is None)
        self._named = named is not None
        self._strict = strict
        self._text: Stream | None = None
        self._finder = finder
        self._mint = mint

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next piece; returns what is complete, masked. Raises Unmaskable. last: nothing follows."""
        if self._text is not None:
            return self._text.feed(data, last=last)
        reader = self._reader
        reader.buffer += data
        tell = self._named or len(data) < _QUICK_FROM or not self._is_clear(bytes(reader.buffer))
        leaves = reader.read(last=last, tell=tell)
        done = reader.buffer[: reader.read_to]
        out = [spliced(done, self._leaves.splices(done, leaves)) if tell else bytes(done)]
        reader.drop()
        if reader.broken:
            if self._named and (self._strict or reader.has_read):
                raise Unmaskable("the body is not JSON, so what its JSON pointers name cannot be found")
            self._text = (ProseStream if reader.is_too_long else TextStream)(self._finder, self._mint)
            out.append(self._text.feed(bytes(reader.buffer), last=last))
            reader.buffer.clear()
        return b"".join(out)

    def _is_clear(self, data: bytes) -> bool:
        """Returns whether no string in these bytes has to be looked at: see Masker.whole."""
        return b"\\" not in data and not self._finder.occurs_raw(data)

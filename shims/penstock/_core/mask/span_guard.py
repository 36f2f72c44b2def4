"""Refuses a body of JSON in which a known value stands across strings or numbers, where no token can replace it.

In: what the masker of another stream lets out. Out: the same, held back while a known value could be under way. Needed
for secrets that are JSON themselves, and for the like.
"""

from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.text_stream import Stream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["SpanGuard"]


class SpanGuard:
    """Guards the output of one stream."""

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

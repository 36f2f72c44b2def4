"""Keeps the body of a request while it is judged, and frames it for the upstream.

In: pieces as they come. Out: the whole body for a question, or framed pieces for the upstream. What waits is counted in
the shim's spool. The agent's own token in a body is refused, wherever it is cut.
"""

from penstock._core.environment import Spool
from penstock._core.incoming import CHUNKED, MIN_TOKEN
from penstock._core.refusal import RefusedError

__all__ = ["RequestBody"]

_SAY_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say so if they have no body (RFC 9110, section 8.6)."""


class RequestBody:
    """Holds one body. size: bytes that have come; held: those that wait; complete: nothing follows."""

    __slots__ = ("_chunked", "_pieces", "_spool", "_tail", "_token", "complete", "held", "size")

    def __init__(self, spool: Spool, token: str) -> None:
        self._spool = spool
        self._token = token.encode() if len(token) >= MIN_TOKEN else b""
        self._tail = b""
        self._pieces: list[bytes] = []
        self._chunked = False
        self.size = self.held = 0
        self.complete = False

    def add(self, data: bytes) -> None:
        """Takes a piece. Raises RefusedError if it holds the agent's token, or too much waits already."""
        if self._token:
            seen = self._tail + data if self._tail else data
            if self._token in seen:
                why = "The request was not forwarded: your token stands in its body, where the upstream would see it."
                raise RefusedError(400, "token_misplaced", why)
            self._tail = seen[1 - len(self._token) :]
        if not self._spool.take(len(data)):
            why = "This shim holds too many requests that wait; nothing was forwarded. Send it again later."
            raise RefusedError(503, "shim_unavailable", why)
        self._pieces.append(data)
        self.size += len(data)
        self.held += len(data)

    def whole(self) -> bytes:
        """Returns everything that waits; it goes on waiting."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def take(self) -> bytes:
        """Returns everything that waits, which then waits no more."""
        data = self.whole()
        self.drop()
        return data

    def framing(self, length: int, method: str) -> bytes:
        """Returns the lines of the head that tell the upstream the length. length: as the agent said it."""
        size = self.size if self.complete else length
        self._chunked = size == CHUNKED
        if self._chunked:
            return b"transfer-encoding: chunked\r\n"
        return b"content-length: %d\r\n" % size if size or method in _SAY_LENGTH else b""

    def framed(self, data: bytes) -> bytes:
        """Returns a piece as it goes up under that framing, with the end if the body is complete."""
        if not self._chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk + b"0\r\n\r\n" if self.complete else chunk

    def drop(self) -> None:
        """Forgets what waits."""
        if self.held:
            self._spool.give(self.held)
            self.held = 0
            self._pieces.clear()

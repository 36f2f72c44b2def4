"""Records the request of an exchange beside its answer, and its end.

In: what the exchange does. Out: frames, through a Tape. The answer's frames are made by reply.py on the same tape.
"""

from penstock._core.environment import Environment
from penstock._core.incoming import Incoming
from penstock._core.request_body import RequestBody
from penstock._core.tape import Tape, Track
from penstock._core.verdict import FrameKind, MaskSpec

__all__ = ["REFUSED_BODY_BYTES", "Recording"]

REFUSED_BODY_BYTES = 4096
"""Largest body in bytes that is recorded of a request that went nowhere."""


class Recording:
    """Records one exchange. spec: masks of the answer to the question. key: of its tokens."""

    def __init__(self, env: Environment, request: Incoming, call_id: str, spec: MaskSpec, key: bytes) -> None:
        upstream = request.route.upstream.name
        mask = request.route.recorded(spec)
        self.tape = Tape(env.recorder, env.now_ms, call_id, upstream, request.session, mask, key)
        self._request = request
        self._track: Track | None = None
        self._complete = False

    def request(self, data: bytes, *, complete: bool) -> None:
        """Takes a piece of the request's body, the first one with the head. complete: it is the last one."""
        if self._complete:
            return
        self._complete = complete
        if self._track is None:
            self._track = self._begin()
            if complete:
                self._track.whole(data)
                return
        if data:
            self._track.feed(data)
        if complete:
            self._track.finish()

    def refused(self, body: RequestBody) -> None:
        """Takes a request of which nothing was sent; one that was sent is there already."""
        if self._track is None:
            small = body.held <= REFUSED_BODY_BYTES
            self.request(body.whole() if small else b"", complete=body.complete)

    def sent(self) -> None:
        """Makes a frame of what there is of the request, so that it stands before its answer."""
        if self._track is not None:
            self._track.begin()

    def end(self, outcome: str) -> None:
        """Ends the exchange; a request that has not come to its end is recorded as far as it has."""
        try:
            if self._track is not None and not self._complete:
                self._track.finish()
        finally:
            self.tape.end(outcome)

    def _begin(self) -> Track:
        request = self._request
        content_type = content_encoding = ""
        for name, value in request.headers:
            if name == "content-type":
                content_type = value.decode("latin-1")
            elif name == "content-encoding":
                content_encoding = value.decode("latin-1")
        query = f"?{request.query}" if request.query else ""
        start = f"{request.method} {request.path}{query}"
        return self.tape.track(FrameKind.REQUEST, start, request.headers, content_type, content_encoding)

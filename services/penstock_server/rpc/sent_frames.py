"""A batch of frames as it came over the wire: checked here, scanned piece by piece, and stored as it is.

A recorded exchange costs two frames, and every decision waits behind them: nothing here copies more than it must.
"""

from collections.abc import Callable

from penstock.v1 import recording_pb2
from penstock_server.domain.errors import Code, PenstockError

__all__ = ["MAX_BODY", "PbFrames"]

MAX_BODY = 65536
"""Largest body of one frame in bytes."""

_KINDS = frozenset(recording_pb2.FrameKind.values()) - {recording_pb2.FRAME_KIND_UNSPECIFIED}


class PbFrames:
    """Implements operations.interfaces.SentFrames. Raises INVALID for a gap, an unknown kind and a body too large."""

    def __init__(self, request: recording_pb2.RecordRequest) -> None:
        request.DiscardUnknownFields()  # they would be stored without being scanned
        self._request = request
        self._content: list[bytes] = []
        frames = request.frames
        self.first = seq = frames[0].seq if frames else 0
        self.last = seq + len(frames) - 1 if frames else 0
        for expected, frame in enumerate(frames, seq or 1):
            if frame.seq != expected:
                raise PenstockError(
                    Code.INVALID,
                    "FRAME_GAP",
                    f"frame {frame.seq} does not follow {expected - 1}: send them in order, each once",
                )
            if frame.kind not in _KINDS:
                raise PenstockError(Code.INVALID, "MESSAGE_INVALID", "frame.kind is unknown")
            self._add(frame)

    def _add(self, frame: recording_pb2.Frame) -> None:
        content = self._content
        if start := frame.start:
            content.append(start.encode())
        if session := frame.session:
            content.append(session.encode())
        content.extend([header.value for header in frame.headers])
        if body := frame.body:
            if len(body) > MAX_BODY:
                raise PenstockError(
                    Code.INVALID, "FRAME_TOO_LARGE", f"a frame's body has at most {MAX_BODY} bytes: split it"
                )
            content.append(body)

    def content(self) -> list[bytes]:
        """Returns whatever was taken from requests and responses, as it came."""
        return self._content

    def after(self, number: int) -> "PbFrames":
        """Returns those with higher numbers."""
        frames = [frame for frame in self._request.frames if frame.seq > number]
        return PbFrames(recording_pb2.RecordRequest(run_id=self._request.run_id, frames=frames))

    def change(self, how: Callable[[bytes, str], bytes]) -> None:
        """Replaces each piece of content; what is no text any more stays readable."""
        for frame in self._request.frames:
            frame.start = how(frame.start.encode(), frame.upstream).decode("utf-8", "replace")
            frame.session = how(frame.session.encode(), frame.upstream).decode("utf-8", "replace")
            for header in frame.headers:
                header.value = how(header.value, frame.upstream)
            frame.body = how(frame.body, frame.upstream)

    def encoded(self) -> bytes:
        """Returns them as penstock.v1.RecordRequest."""
        return self._request.SerializeToString()

"""A batch of frames as it came over the wire: checked here, scanned piece by piece, and stored as it is.

A recorded exchange costs two frames, and every decision waits behind them: nothing here copies more than it must.
"""

from collections.abc import Callable, Iterator

from penstock.v1 import recording_pb2
from penstock_server.domain.errors import Code, PenstockError

__all__ = ["MAX_BODY", "PbFrames"]

MAX_BODY = 65536
"""Largest body of one frame in bytes."""

_KINDS = frozenset(recording_pb2.FrameKind.values()) - {recording_pb2.FRAME_KIND_UNSPECIFIED}


class PbFrames:
    """Implements operations.interfaces.SentFrames; `read` makes it from what a shim sent."""

    def __init__(self, request: recording_pb2.RecordRequest, content: list[bytes]) -> None:
        self._request = request
        self._content = content
        frames = request.frames
        self.first = frames[0].seq if frames else 0
        self.last = frames[-1].seq if frames else 0

    @classmethod
    def read(cls, request: recording_pb2.RecordRequest) -> "PbFrames":
        """Returns the batch. Raises INVALID for a gap, an unknown kind and a body that is too large."""
        request.DiscardUnknownFields()  # they would be stored without being scanned
        content: list[bytes] = []
        frames = request.frames
        for expected, frame in enumerate(frames, (frames[0].seq or 1) if frames else 1):
            if frame.seq != expected:
                raise PenstockError(
                    Code.INVALID,
                    "FRAME_GAP",
                    f"frame {frame.seq} does not follow {expected - 1}: send them in order, each once",
                )
            if frame.kind not in _KINDS:
                raise PenstockError(Code.INVALID, "MESSAGE_INVALID", "frame.kind is unknown")
            if len(frame.body) > MAX_BODY:
                raise PenstockError(
                    Code.INVALID, "FRAME_TOO_LARGE", f"a frame's body has at most {MAX_BODY} bytes: split it"
                )
            content.extend(_content(frame))
        return cls(request, content)

    def content(self) -> list[bytes]:
        """Returns whatever was taken from requests and responses, as it came."""
        return self._content

    def after(self, number: int) -> "PbFrames":
        """Returns those with higher numbers, without their content."""
        frames = [frame for frame in self._request.frames if frame.seq > number]
        return PbFrames(recording_pb2.RecordRequest(run_id=self._request.run_id, frames=frames), [])

    def change(self, how: Callable[[bytes, str], bytes]) -> Iterator[None]:
        """Replaces each piece of content, and yields after each frame; what is no text any more stays readable.

        A body may grow beyond its limit: a token can be longer than what it stands for.
        """
        for frame in self._request.frames:
            upstream = frame.upstream
            frame.start = how(frame.start.encode(), upstream).decode("utf-8", "replace")
            frame.session = how(frame.session.encode(), upstream).decode("utf-8", "replace")
            for header in frame.headers:
                header.name = how(header.name.encode(), upstream).decode("utf-8", "replace")
                header.value = how(header.value, upstream)
            frame.body = how(frame.body, upstream)
            yield

    def encoded(self) -> bytes:
        """Returns them as penstock.v1.RecordRequest."""
        return self._request.SerializeToString()


def _content(frame: recording_pb2.Frame) -> list[bytes]:
    """Returns the pieces that are not empty."""
    content = []
    if start := frame.start:
        content.append(start.encode())
    if session := frame.session:
        content.append(session.encode())
    for header in frame.headers:
        content.append(header.name.encode())
        content.append(header.value)
    if body := frame.body:
        content.append(body)
    return content

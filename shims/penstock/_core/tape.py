"""Records one exchange: masked frames, in the order of what happened; the one that says how it ended comes last.

In: heads and bodies of request and answer. Out: frames to the Recorder. Nothing leaves here unmasked: with the masks of
the answer and always with known values and the detectors of credentials. What cannot be masked is left out, and said.
"""

from collections.abc import Callable, Mapping, Sequence

from penstock._core.field_mask import FieldMask, Fields
from penstock._core.interfaces import Recorder
from penstock._core.mask import BodyMask, Unmaskable
from penstock._core.verdict import Frame, FrameKind

__all__ = ["Tape", "Track"]

FRAME_BYTES = 65536
"""Largest body of one frame in bytes; see penstock.v1.Frame.body."""
UNMASKABLE = "unmaskable"
"""Counted like a kind of secret where a body was left out because nothing could mask it."""

_MORE = {FrameKind.REQUEST: FrameKind.REQUEST_BODY, FrameKind.RESPONSE: FrameKind.RESPONSE_BODY}


class Tape:
    """Makes the frames of one exchange. mask: of the recorded copy; key: of its tokens."""

    __slots__ = ("_call_id", "_last", "_recorder", "_session", "_upstream", "counts", "key", "mask", "now_ms")

    def __init__(
        self,
        recorder: Recorder,
        now_ms: Callable[[], int],
        call_id: str,
        upstream: str,
        session: str,
        mask: FieldMask,
        key: bytes,
    ) -> None:
        self._recorder = recorder
        self.now_ms = now_ms
        self._call_id = call_id
        self._upstream = upstream
        self.mask = mask
        self.key = key
        self.counts: dict[str, int] = {}
        self._session = self.text(session) if session else ""
        self._last: Frame | None = None

    def track(
        self, kind: FrameKind, start: str, fields: Sequence[tuple[str, bytes]], content_type: str, encoding: str
    ) -> "Track":
        """Begins a message, which is masked here. kind: REQUEST or RESPONSE. start: request or status line."""
        together = (("", start.encode("utf-8", "replace")), *fields)  # one scan for both
        try:
            (_, line), *shown = self.mask.mask(together, self.key, self.counts)
        except Unmaskable:
            line, shown = b"", [(name, b"") for name, _ in fields]
            self.count({UNMASKABLE: 1})
        return Track(self, kind, line.decode("utf-8", "replace"), tuple(shown), (content_type, encoding))

    def masked_track(self, kind: FrameKind, start: str, fields: Fields) -> "Track":
        """Begins a message of which all that comes is masked already."""
        return Track(self, kind, start, fields, None)

    def end(self, outcome: str) -> None:
        """Ends the exchange. outcome: one of those in penstock.v1.Frame.outcome.

        Where the answer has just ended, its last frame says so as well; a frame of its own would cost every request a
        fifth of what recording costs.
        """
        frame = self._last or self._frame(FrameKind.END)
        self._last = None
        frame.outcome = outcome
        frame.masked = dict(self.counts)  # the rest of the request may have been masked since
        self._recorder.put(frame)

    def count(self, counts: Mapping[str, int]) -> None:
        """Adds to the masked spans so far, by kind."""
        for kind, count in counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count

    def text(self, text: str) -> str:
        """Returns one line of text, masked; "" if that cannot be done."""
        try:
            masked = self.mask.masker.text(text.encode("utf-8", "replace"), key=self.key, place="text")
        except Unmaskable:
            return ""
        return masked.data.decode("utf-8", "replace")

    def put(
        self, kind: FrameKind, start: str = "", headers: Fields = (), body: bytes = b"", *, last: bool = False
    ) -> None:
        """Hands one frame over. last: of the answer; it waits for `end`, which follows in the same turn."""
        frame = self._frame(kind, start, headers, body)
        if last:
            self._last = frame
        else:
            self._recorder.put(frame)

    def _frame(self, kind: FrameKind, start: str = "", headers: Fields = (), body: bytes = b"") -> Frame:
        counts = dict(self.counts) if self.counts else {}
        now_ms = self.now_ms()
        return Frame(self._call_id, kind, now_ms, self._upstream, self._session, start, headers, body, "", counts)


class Track:
    """Records one message: the head with the first piece of the body, then further pieces.

    content: (type, encoding) of a body that is to be masked here; None if it comes masked.
    """

    __slots__ = ("_content", "_fields", "_kind", "_lost", "_pending", "_size", "_start", "_stream", "_tape")

    def __init__(
        self, tape: Tape, kind: FrameKind, start: str, fields: Fields, content: tuple[str, str] | None
    ) -> None:
        self._tape = tape
        self._kind = kind
        self._start = start
        self._fields: Fields | None = fields
        self._content = content
        self._stream: BodyMask | None = None
        self._lost = False
        self._pending: list[bytes] = []
        self._size = 0

    def whole(self, body: bytes) -> None:
        """Records the whole body at once, and ends the message."""
        if self._content is not None and body:
            try:
                masked = self._tape.mask.masker.whole(*self._content, body, key=self._tape.key)
            except Unmaskable:
                self._leave_out()
                body = b""
            else:
                body = masked.data
                self._tape.count(masked.counts)
        self._keep(body)
        self._emit(everything=True, last=True)

    def feed(self, data: bytes) -> None:
        """Records the next piece of the body."""
        if self._lost:
            return
        if self._content is not None:
            try:
                if self._stream is None:
                    self._stream = self._tape.mask.masker.body(*self._content, key=self._tape.key)
                data = self._stream.feed(data)
            except Unmaskable:
                self._leave_out()
                return
        self._keep(data)
        self._emit()

    def begin(self) -> None:
        """Makes a frame of the head, with what there is of the body, so that it stands before the other message's."""
        if self._fields is not None:
            self._emit(everything=True)

    def finish(self) -> None:
        """Ends the message."""
        if self._stream is not None and not self._lost:
            try:
                self._keep(self._stream.finish())
                self._tape.count(self._stream.counts)
            except Unmaskable:
                self._leave_out()
        self._emit(everything=True, last=True)

    def _leave_out(self) -> None:
        """Leaves the rest of the body out."""
        self._lost = True
        self._tape.count({UNMASKABLE: 1})

    def _keep(self, data: bytes) -> None:
        if data:
            self._pending.append(data)
            self._size += len(data)

    def _emit(self, *, everything: bool = False, last: bool = False) -> None:
        """Makes frames of full size, and with everything one of the rest; the head goes with the first."""
        last = last and self._kind is FrameKind.RESPONSE
        if self._size < FRAME_BYTES and not everything:
            return
        data = b"".join(self._pending)
        at = 0
        while len(data) - at >= FRAME_BYTES or (everything and (at < len(data) or self._fields is not None)):
            piece = data[at : at + FRAME_BYTES]
            at += len(piece)
            ends = last and at == len(data)
            if self._fields is not None:
                self._tape.put(self._kind, self._start, self._fields, piece, last=ends)
                self._fields = None
            else:
                self._tape.put(_MORE[self._kind], body=piece, last=ends)
        self._pending = [data[at:]] if at < len(data) else []
        self._size = len(data) - at

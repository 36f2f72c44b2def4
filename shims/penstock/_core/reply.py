"""Passes one answer from an upstream on to the agent: masked while it streams, framed anew, and recorded.

In: head, pieces and end of the upstream's answer. Out: bytes for the agent, frames for the tape. Three ways:

- plain: nothing is to be masked; bytes pass as they come, with the upstream's length.
- whole: a body whose length is known and small, or JSON in chunks: it is gathered, masked at once, and sent with its
  head in one write. JSON has to be read to its end anyway before its last value may be released.
- streamed: everything else, events above all; what may be released goes out with each piece that comes in.

What cannot be masked is refused if nothing of it has been sent yet, else the agent's side is aborted visibly.
"""

from typing import Protocol

from penstock._core.answer import AnswerHead, BadAnswerError, serialise
from penstock._core.field_mask import FieldMask, Fields
from penstock._core.http_date import http_date
from penstock._core.mask import BodyMask, Unmaskable
from penstock._core.tape import Tape, Track
from penstock._core.verdict import FrameKind

__all__ = ["WHOLE_BYTES", "Reply", "Writer"]

WHOLE_BYTES = 1 << 20
"""Largest body in bytes that is gathered before it is masked; see also the masker's own limit for JSON."""

_CHUNKED = b"transfer-encoding: chunked\r\n"
_CLOSE = b"connection: close\r\n"


class Writer(Protocol):
    """Takes bytes for the agent."""

    def write(self, data: bytes) -> None:
        """Queues bytes; what is written to an agent that has gone is dropped."""
        ...


class Reply:
    """Passes one answer on. http10: the agent speaks it. covered: what is masked for the agent may be recorded."""

    def __init__(self, writer: Writer, tape: Tape, mask: FieldMask, *, covered: bool, http10: bool) -> None:
        self._writer = writer
        self._tape = tape
        self._mask = mask
        self._masker = mask.masker
        self._covered = covered
        self._http10 = http10
        self._head: AnswerHead | None = None
        self._fields: Fields = ()
        self._integrity: Fields = ()
        self._gathered: list[bytes] | None = None
        self._size = 0
        self._stream: BodyMask | None = None
        self._track: Track | None = None
        self._out: list[bytes] = []
        self._chunked = False
        self.started = False
        """True once any byte of the answer has gone to the agent: too late to refuse."""
        self.keep_alive = True

    def head(self, head: AnswerHead, *, keep_alive: bool) -> None:
        """Takes the head. Raises BadAnswerError while it can still be refused."""
        self.keep_alive = keep_alive
        self._head = head
        counts: dict[str, int] = {}
        try:
            self._fields = self._mask.mask(tuple(head.fields), self._tape.key, counts)
            self._integrity = self._mask.mask(tuple(head.integrity), self._tape.key, counts)
            if counts:
                self._tape.count(counts)
            if head.bodiless or not self._masker.active:
                self._begin_plain(head)
            elif _is_gathered(head):
                self._gathered = []
            else:
                self._begin_stream(head)
        except Unmaskable as error:
            raise _unmaskable(error) from None

    def body(self, data: bytes) -> None:
        """Takes the next piece. Raises BadAnswerError; the caller refuses if not `started`, else aborts."""
        if self._gathered is not None:
            self._gathered.append(data)
            self._size += len(data)
            if self._size > WHOLE_BYTES:
                self._spill()
            return
        if self._head is None or self._head.bodiless:
            return
        if self._stream is not None:
            try:
                data = self._stream.feed(data)
            except Unmaskable as error:
                raise _unmaskable(error) from None
        if self._track is not None:
            self._track.feed(data)
        self._send(data)

    def flush(self) -> None:
        """Writes what the pieces of one read have released."""
        if self._out:
            self._writer.write(b"".join(self._out))
            self._out.clear()
            self.started = True

    def end(self) -> None:
        """Takes the end. Raises BadAnswerError as `body` does."""
        if self._gathered is not None:
            self._send_whole(b"".join(self._gathered))
            return
        if self._stream is not None:
            try:
                rest = self._stream.finish()
            except Unmaskable as error:
                raise _unmaskable(error) from None
            if self._track is not None:
                self._track.feed(rest)
            self._send(rest)
            self._tape.count(self._stream.counts)
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        if self._track is not None:
            self._track.finish()
        self.flush()

    def lost(self) -> None:
        """Records what came before the upstream or the agent broke off; nothing more is sent."""
        self._out.clear()
        if self._stream is not None:
            self._tape.count(self._stream.counts)
        if self._track is not None:
            self._track.finish()

    def _begin_plain(self, head: AnswerHead) -> None:
        fields = self._fields + self._integrity
        if head.bodiless:
            known = head.length is not None and not self._masker.active and head.status != 204
            framing = b"content-length: %d\r\n" % head.length if known and head.length is not None else b""
        else:
            framing = self._framing(head.length)
        self._open(head, fields, framing)

    def _begin_stream(self, head: AnswerHead) -> None:
        self._stream = self._masker.body(head.content_type, head.content_encoding, key=self._tape.key)
        self._open(head, self._fields, self._framing(None))

    def _framing(self, length: int | None) -> bytes:
        if length is not None:
            return b"content-length: %d\r\n" % length
        if self._http10:
            self.keep_alive = False
            return b""
        self._chunked = True
        return _CHUNKED

    def _open(self, head: AnswerHead, fields: Fields, framing: bytes) -> None:
        """Queues the head and begins the recording."""
        self._out.append(serialise(head.status, fields, self._last_lines(head, framing)))
        self._track = self._begin_track(head)

    def _last_lines(self, head: AnswerHead, framing: bytes) -> bytes:
        """Returns the lines that this shim adds to a head."""
        lines = head.via + framing if self.keep_alive else head.via + framing + _CLOSE
        if not head.dated:  # who forwards an answer without a Date must add it (RFC 9110, section 6.6.1)
            lines = b"date: %b\r\n%b" % (http_date(self._tape.now_ms() // 1000).encode(), lines)
        return lines

    def _begin_track(self, head: AnswerHead) -> Track:
        start = str(head.status)
        if self._covered:
            return self._tape.masked_track(FrameKind.RESPONSE, start, self._fields)
        content = head.content_type, head.content_encoding
        return self._tape.track(FrameKind.RESPONSE, start, self._fields, *content)

    def _send(self, data: bytes) -> None:
        if data:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n") if self._chunked else (data,)

    def _spill(self) -> None:
        """Streams a body that turned out to be large."""
        assert self._gathered is not None and self._head is not None
        pieces, self._gathered = self._gathered, None
        try:
            self._begin_stream(self._head)
        except Unmaskable as error:
            raise _unmaskable(error) from None
        for piece in pieces:
            self.body(piece)

    def _send_whole(self, body: bytes) -> None:
        head = self._head
        assert head is not None
        try:
            masked = self._masker.whole(head.content_type, head.content_encoding, body, key=self._tape.key)
        except Unmaskable as error:
            raise _unmaskable(error) from None
        fields = self._fields + self._integrity if masked.data is body else self._fields
        if masked.counts:
            self._tape.count(masked.counts)
        framing = b"content-length: %d\r\n" % len(masked.data)
        self._writer.write(serialise(head.status, fields, self._last_lines(head, framing)) + masked.data)
        self.started = True
        self._begin_track(head).whole(masked.data)


def _is_gathered(head: AnswerHead) -> bool:
    """Returns whether the body is masked at once: it is small, or JSON that comes in chunks."""
    kind = head.content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream" or "ndjson" in kind or "jsonl" in kind or "json-seq" in kind:
        return False
    if head.length is not None:
        return head.length <= WHOLE_BYTES
    return kind == "application/json" or kind.endswith("+json")


def _unmaskable(error: Unmaskable) -> BadAnswerError:
    reason = f"The upstream's answer was held back, because it cannot be masked: {error.reason}."
    return BadAnswerError("answer_unmaskable", reason)

"""Ships frames to the policy service over one Record stream, numbered, in batches, until each is acknowledged.

Rules: nothing is dropped; a frame is kept until its acknowledgement, and after a lost stream sent again with the same
number, which the service skips if it is stored already. What is kept is bounded by refusing new requests (`ready`).
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable

import grpc.aio

from penstock._client.backoff import Backoff
from penstock._client.encode import frame_field, run_field
from penstock._client.stream import Stream, describe, race, send
from penstock._core.verdict import Frame

__all__ = ["StreamRecorder"]

MAX_FRAMES = 128
"""Frames of a batch: more would keep the service from its decisions for too long at a time."""
MAX_BATCH_BYTES = 1024 * 1024
"""Bytes of a batch; a sixteenth of what a message may have."""
MAX_KEPT_BYTES = 16 * 1024 * 1024
"""Bytes without acknowledgement from which on no new request is taken."""
LINGER_S = 0.01
"""Pause between batches that are not full, seconds: a message costs 300 µs however little it carries."""
MAX_DOWN_S = 5.0
"""Seconds without a stream after which no new request is taken."""
STEADY_S = 0.5
"""A stream that has stood for this many seconds counts as up, though nothing was acknowledged."""
STALL_S = 10.0
"""Seconds that a frame may wait for its acknowledgement before the stream counts as lost."""

_log = logging.getLogger(__name__)


class StreamRecorder:
    """Implements penstock._core.interfaces.Recorder; open_call opens a Record stream that takes encoded messages."""

    def __init__(self, open_call: Callable[[], Stream], *, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self.run_id = secrets.token_hex(16)
        self._open_call = open_call
        self._max_kept_bytes = max_kept_bytes
        self._run = run_field(self.run_id)
        self._queued: deque[tuple[int, bytes]] = deque()
        self._sent: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._seq = 0
        self._highest_sent = 0
        self._down_since: float | None = time.monotonic()
        self._progress_at = 0.0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._backoff = Backoff()
        self._last_failure = ""

    def ready(self) -> bool:
        """Returns False while too much is unacknowledged or the stream has been down too long: refuse requests."""
        if self._bytes > self._max_kept_bytes:
            return False
        return self._down_since is None or time.monotonic() - self._down_since < MAX_DOWN_S

    def put(self, frame: Frame) -> None:
        """Queues one frame, which must be masked already; raises ValueError on a body of more than 65536 bytes."""
        wire = frame_field(self._seq + 1, frame)
        self._seq += 1
        self._bytes += len(wire)
        self._queued.append((self._seq, wire))
        if len(self._queued) == 1:
            self._empty.clear()
            self._wake.set()

    def unacknowledged(self) -> int:
        """Returns how many frames the service has not acknowledged."""
        return len(self._sent) + len(self._queued)

    async def flush(self, timeout_s: float) -> bool:
        """Waits until everything is acknowledged; returns False if that takes longer than timeout_s."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Keeps a stream open until cancelled."""
        while True:
            try:
                await self._session()
                failure = "the policy service ended the stream"
            except grpc.aio.AioRpcError as error:
                failure = describe(error)
            except Exception as error:
                failure = f"{type(error).__name__}: {error}" if isinstance(error, _Nonsense) else type(error).__name__
            self._lost()
            if failure != self._last_failure:
                _log.warning("no recording: %s", failure)
                self._last_failure = failure
            await asyncio.sleep(self._backoff.wait_s())

    async def _session(self) -> None:
        """Serves one stream until the service ends it; raises AioRpcError if it breaks, _Nonsense if it stalls."""
        call = self._open_call()
        self._progress_at = time.monotonic()
        try:
            await race(self._read(call), self._write(call), self._watch())
        finally:
            call.cancel()

    async def _read(self, call: Stream) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:
            self._acknowledge(message.acknowledged)

    async def _write(self, call: Stream) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queued:
                await send(call, self._batch())
                if len(self._queued) < MAX_FRAMES:
                    await asyncio.sleep(LINGER_S)

    async def _watch(self) -> None:
        """Counts the stream as up once it is steady, and ends it when acknowledgements stop."""
        await asyncio.sleep(STEADY_S)
        self._up()
        while True:
            await asyncio.sleep(STEADY_S)
            if not self._sent:
                self._progress_at = time.monotonic()
            elif time.monotonic() - self._progress_at > STALL_S:
                raise _Nonsense("the policy service does not acknowledge")

    def _batch(self) -> bytes:
        """Moves the next frames from the queue to what is sent; returns them as one message."""
        parts = [self._run]
        size = 0
        queue, sent = self._queued, self._sent
        while queue and len(parts) <= MAX_FRAMES:
            wire = queue[0][1]
            if size and size + len(wire) > MAX_BATCH_BYTES:
                break
            size += len(wire)
            parts.append(wire)
            sent.append(queue.popleft())
        self._highest_sent = max(self._highest_sent, sent[-1][0])
        return b"".join(parts)

    def _acknowledge(self, seq: int) -> None:
        """Forgets every frame up to seq; raises _Nonsense if it was never sent."""
        if seq > self._highest_sent:
            raise _Nonsense("the policy service acknowledged a frame that was never sent")
        self._progress_at = time.monotonic()
        for kept in (self._sent, self._queued):
            while kept and kept[0][0] <= seq:
                self._bytes -= len(kept.popleft()[1])
        if not self._sent and not self._queued:
            self._empty.set()
        self._up()

    def _up(self) -> None:
        self._down_since = None
        self._backoff.reset()
        if self._last_failure:
            _log.warning("recording again: connected to the policy service")
            self._last_failure = ""

    def _lost(self) -> None:
        """Queues again what is not acknowledged, in its order and with its numbers."""
        if self._down_since is None:
            self._down_since = time.monotonic()
        self._queued.extendleft(reversed(self._sent))
        self._sent.clear()
        if self._queued:
            self._wake.set()


class _Nonsense(Exception):
    """Says that the service does not keep to the protocol; the stream is opened anew."""

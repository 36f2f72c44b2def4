"""Asks the policy service over one DecideStream.

Rules: asks that queue while a message is being written go together in the next ones, each with its share of them, and
at most MAX_OUTSTANDING batches wait for an answer. Nothing is asked before the service has sent a configuration. What
the service sends is handled in its order. No answer is no: a late, void or lost one becomes UNAVAILABLE, and nothing is
ever asked again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import grpc.aio

from penstock import __version__
from penstock._client import convert
from penstock._client.backoff import Backoff
from penstock._client.encode import ask_field, cancelled_field
from penstock._client.stream import Stream, describe, race, send
from penstock._client.waiting import Batch, Entry, Waiting
from penstock._core.verdict import Ask, Outcome, ShimConfig, Verdict
from penstock.v1 import decision_pb2

__all__ = ["StreamDecider"]

ANSWER_TIMEOUT_S = 5.0
"""Longest wait for the first answer to an ask, seconds; far above a commit, far below an agent's patience."""
MAX_OUTSTANDING = 4
"""Batches without any answer: one each on its way, being judged, being written and being put to use."""
MIN_BATCH = 16
"""Asks that one batch may take in any case: a message costs as much as ten of them."""
SLOW_BATCH_S = 0.05
"""A batch without an answer after this many seconds no longer holds others back: one slow ask must not stop all."""
MAX_BATCH_BYTES = 1024 * 1024
"""Bytes of a batch; one larger ask goes alone. Far below the 16 MiB that a message may have."""
BEAT_S = 0.5
"""How often the service sends something, seconds: see DecideStreamResponse."""
SILENT_BEATS = 4
"""Beats without any message after which the stream counts as lost, though nothing broke: the service may be stopped."""
CAPABILITIES = ("http", "mask", "hold", "need_body")

_log = logging.getLogger(__name__)


class StreamDecider:
    """Implements penstock._core.interfaces.Decider; open_call opens a new DecideStream that takes encoded messages."""

    def __init__(
        self,
        open_call: Callable[[], Stream],
        *,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        beat_s: float = BEAT_S,
    ) -> None:
        self._open_call = open_call
        self._answer_timeout_s = answer_timeout_s
        self._beat_s = beat_s
        self._silent_beats = 0
        self._config: ShimConfig | None = None
        self._callbacks: list[Callable[[ShimConfig | None], None]] = []
        self._waiting = Waiting()
        self._queue: deque[Entry] = deque()
        self._cancelled: list[str] = []
        self._outstanding = 0
        self._epoch = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._sent: deque[Batch] = deque()
        self._backoff = Backoff()
        self._last_failure = ""

    def config(self) -> ShimConfig | None:
        """Returns the configuration pushed last on the live stream; None while there is none: refuse everything."""
        return self._config

    def on_config(self, callback: Callable[[ShimConfig | None], None]) -> None:
        """Calls back at each new configuration, and with None when the stream is lost."""
        self._callbacks.append(callback)

    def ask(self, ask: Ask, deliver: Callable[[Verdict], None]) -> None:
        """Asks once; see Decider.ask. A call id that waits already and text that is not UTF-8 are UNAVAILABLE."""
        if self._config is None:
            deliver(convert.unavailable(ask.call_id))
            return
        loop = asyncio.get_running_loop()
        try:
            entry = Entry(ask.call_id, ask_field(ask), deliver, loop.time() + self._answer_timeout_s)
        except ValueError:
            deliver(convert.unavailable(ask.call_id, "The request holds text that cannot be sent; change it."))
            return
        if not self._waiting.add(entry):
            deliver(convert.unavailable(ask.call_id, "The request was asked twice at once."))
            return
        self._queue.append(entry)
        if self._timer is None:
            self._timer = loop.call_at(entry.deadline, self._expire)
        if self._outstanding < MAX_OUTSTANDING:
            self._wake.set()

    def cancel(self, call_id: str) -> None:
        """Withdraws an ask or a hold: no verdict is delivered after this returns."""
        entry = self._waiting.finish(call_id)
        if entry is not None:
            self._withdraw(entry)

    def _withdraw(self, entry: Entry) -> None:
        """Tells the service that a finished entry is no longer wanted, if it knows of it."""
        if not entry.wire:
            self._cancelled.append(entry.call_id)
            self._wake.set()
        if entry.batch is not None:
            entry.batch.wanted -= 1
            if not entry.batch.wanted:
                self._release(entry.batch)

    async def run(self) -> None:
        """Keeps a stream open until cancelled; every loss answers what waits with UNAVAILABLE."""
        while True:
            try:
                await self._session()
                failure = "the policy service ended the stream"
            except grpc.aio.AioRpcError as error:
                failure = describe(error)
            except _SilentError:
                failure = "the policy service has fallen silent"
            except Exception as error:
                failure = f"the stream failed with {type(error).__name__}"
            finally:
                self._lost()
            if failure != self._last_failure:
                _log.warning("no decisions: %s", failure)
                self._last_failure = failure
            await asyncio.sleep(self._backoff.wait_s())

    async def _session(self) -> None:
        """Serves one stream until the service ends it; raises AioRpcError if it breaks."""
        call = self._open_call()
        try:
            await race(self._read(call), self._write(call), self._listen())
        finally:
            call.cancel()

    async def _read(self, call: Stream) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:
            self._take(message)

    async def _listen(self) -> None:
        """Raises _SilentError once the service, which had begun to speak, has been silent for too long.

        Beats are counted, not seconds: if this process itself stood still, what came meanwhile is read first.
        """
        self._silent_beats = 0
        while self._silent_beats < SILENT_BEATS:
            await asyncio.sleep(self._beat_s)
            if self._config is not None:
                self._silent_beats += 1
        raise _SilentError

    async def _write(self, call: Stream) -> None:
        hello = decision_pb2.Hello(version=__version__, capabilities=CAPABILITIES)
        await send(call, decision_pb2.DecideStreamRequest(hello=hello).SerializeToString())
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._outstanding:  # nothing is gained by haste: take along what this turn of the loop still brings
                await asyncio.sleep(0)
            while message := self._next_message():
                await send(call, message)

    def _next_message(self) -> bytes:
        """Joins what may be sent now: all cancellations, and asks up to a batch if one may go; b"" if nothing may.

        A batch takes no more than its share of all that are unanswered: with one that takes everything, shim and
        service would work in turns, each idle while the other is busy.
        """
        parts = [cancelled_field(call_id) for call_id in self._cancelled]
        self._cancelled.clear()
        queue = self._queue
        if queue and self._outstanding < MAX_OUTSTANDING:
            batch = Batch(asyncio.get_running_loop().time())
            size = 0
            room = max(MIN_BATCH, self._waiting.unanswered // MAX_OUTSTANDING)
            while queue and room:
                entry = queue[0]
                if not entry.done:
                    if size and size + len(entry.wire) > MAX_BATCH_BYTES:
                        break
                    size += len(entry.wire)
                    room -= 1
                    parts.append(entry.wire)
                    entry.wire = b""
                    entry.batch = batch
                    batch.wanted += 1
                queue.popleft()
            if size:
                self._count(batch)
        return b"".join(parts)

    def _count(self, batch: Batch) -> None:
        self._outstanding += 1
        self._sent.append(batch)
        if self._slow is None:
            self._slow = asyncio.get_running_loop().call_later(SLOW_BATCH_S, self._release_slow)

    def _release(self, batch: Batch) -> None:
        """Counts a batch as answered, once."""
        if batch.open:
            batch.open = False
            self._outstanding -= 1
            if self._queue:
                self._wake.set()

    def _release_slow(self) -> None:
        """Releases batches that are old; looks again when the next one will be."""
        loop = asyncio.get_running_loop()
        self._slow = None
        while self._sent and (not self._sent[0].open or self._sent[0].sent_at + SLOW_BATCH_S <= loop.time()):
            self._release(self._sent.popleft())
        if self._sent:
            self._slow = loop.call_at(self._sent[0].sent_at + SLOW_BATCH_S, self._release_slow)

    def _take(self, message: decision_pb2.DecideStreamResponse) -> None:
        """Handles one message: its epoch counts before its verdicts, its configuration before both."""
        self._silent_beats = 0
        if message.HasField("config"):
            self._backoff.reset()
            if self._last_failure:
                _log.warning("decisions again: connected to the policy service")
                self._last_failure = ""
            self._publish(convert.config(message.config))
        if message.epoch > self._epoch:
            self._epoch = message.epoch
        for answer in message.verdicts:
            self._answer(answer)

    def _answer(self, answer: decision_pb2.Verdict) -> None:
        entry = self._waiting.get(answer.call_id)
        if entry is None or entry.wire:
            return  # cancelled or late; or never asked on this stream
        if entry.batch is not None and entry.batch.open:
            self._release(entry.batch)
        verdict = convert.verdict(answer, self._epoch)
        if verdict.outcome is Outcome.PENDING:
            if entry.pending:
                return
            self._waiting.hold(entry)
        else:
            self._waiting.finish(entry.call_id)
            if verdict.outcome is Outcome.UNAVAILABLE:
                self._withdraw(entry)
        _call(entry.deliver, verdict)

    def _expire(self) -> None:
        """Answers what has waited too long, and looks again at the next deadline."""
        loop = asyncio.get_running_loop()
        late = self._waiting.expired(loop.time())
        deadline = self._waiting.next_deadline()
        self._timer = None if deadline is None else loop.call_at(deadline, self._expire)
        for entry in late:
            self._withdraw(entry)
            _call(entry.deliver, convert.unavailable(entry.call_id))

    def _lost(self) -> None:
        """Forgets the stream: no configuration, no epoch, nothing queued; everything that waits is UNAVAILABLE."""
        entries = self._waiting.take_all()
        for timer in (self._timer, self._slow):
            if timer is not None:
                timer.cancel()
        self._timer = self._slow = None
        self._queue.clear()
        self._cancelled.clear()
        self._sent.clear()
        self._outstanding = self._epoch = 0
        if self._config is not None:
            self._publish(None)
        for entry in entries:
            _call(entry.deliver, convert.unavailable(entry.call_id))

    def _publish(self, config: ShimConfig | None) -> None:
        self._config = config
        convert.forget_obligations()
        for callback in self._callbacks:
            _call(callback, config)


class _SilentError(Exception):
    """Says that the service sends nothing, not even heartbeats."""


_T = TypeVar("_T")


def _call(callback: Callable[[_T], None], value: _T) -> None:
    """Calls back; what it raises is its own fault and must not end the stream that all others wait on."""
    try:
        callback(value)
    except Exception as error:
        _log.error("a callback of the decision stream failed: %s", type(error).__name__)

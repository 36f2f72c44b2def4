"""DecisionService: questions in, verdicts out, on one ordered stream a shim."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from penstock.v1 import decision_pb2, decision_pb2_grpc
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.answers import Answer, Outcome, Question
from penstock_server.operations.decide import Decisions, Held
from penstock_server.operations.holds import Holds
from penstock_server.rpc.convert import ask_from_pb, verdict_to_pb
from penstock_server.rpc.edge import calling_shim
from penstock_server.rpc.outbox import Outbox
from penstock_server.rpc.shim_config import ShimConfigs

__all__ = ["DecisionServicer"]

MAX_BATCHES = 64
"""Batches of one stream that are decided at a time; then reading waits, and with it the shim (back-pressure)."""

BEAT_S = 0.5
"""How often each stream shows that it lives, seconds (section 3 of the architecture)."""

NEEDED = ("http", "mask", "hold", "need_body")
"""Capabilities that an answer may count on; a shim without one of them would not do as it is told."""


class DecisionServicer(decision_pb2_grpc.DecisionServiceServicer):
    """Serves shims."""

    def __init__(self, decisions: Decisions, holds: Holds, configs: ShimConfigs) -> None:
        self._decisions = decisions
        self._holds = holds
        self._configs = configs

    async def Decide(
        self, request: decision_pb2.DecideRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> decision_pb2.DecideResponse:
        """Decides one action."""
        answer = await self._decisions.one(calling_shim(), ask_from_pb(request.ask))
        return decision_pb2.DecideResponse(verdict=verdict_to_pb(answer))

    async def DecideStream(
        self,
        request_iterator: AsyncIterator[decision_pb2.DecideStreamRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[decision_pb2.DecideStreamResponse]:
        """Decides until the shim hangs up, is revoked, or sends what cannot be understood."""
        stream = _Stream(self._configs, self._holds, self._decisions)
        unlisten = self._configs.listen(stream.refresh)
        loop = asyncio.get_running_loop()
        work = [loop.create_task(stream.read(request_iterator))]
        try:
            await stream.refresh()
            work.append(loop.create_task(stream.beat()))
            async for message in stream.outbox.messages():
                yield message
        finally:
            unlisten()
            for task in work:
                task.cancel()
            stream.close()


class _Stream:
    """Holds the state of one stream."""

    def __init__(self, configs: ShimConfigs, holds: Holds, decisions: Decisions) -> None:
        self.outbox = Outbox(self._start)
        self._configs = configs
        self._holds = holds
        self._decisions = decisions
        self._shim = calling_shim()
        self._greeted = False
        self._held: set[str] = set()
        self._asked: dict[str, Question] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def refresh(self) -> None:
        """Sends the shim's configuration of now; ends the stream if the shim is revoked."""
        try:
            self.outbox.config(await self._configs.for_shim(self._shim.token_hash))
        except PenstockError as error:
            self.outbox.fail(error)

    async def beat(self) -> None:
        """Shows for ever that the stream lives, with the epoch of now."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.outbox.beat(self._configs.epoch)

    async def read(self, requests: AsyncIterator[decision_pb2.DecideStreamRequest]) -> None:
        """Reads until the shim hangs up; ends the stream at what cannot be understood."""
        try:
            async for request in requests:
                self._greet(request)
                if request.cancelled:
                    self._holds.drop(self._held.intersection(request.cancelled))  # never another stream's
                    self._held.difference_update(request.cancelled)
                    for call_id in request.cancelled:
                        self._asked.pop(call_id, None)
                if request.asks:
                    questions = [ask_from_pb(ask) for ask in request.asks]
                    while len(self._tasks) >= MAX_BATCHES:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                    self._start(questions)
            self.outbox.end()
        except PenstockError as error:
            self.outbox.fail(error)

    def _greet(self, request: decision_pb2.DecideStreamRequest) -> None:
        """Raises WRONG_STATE if the stream does not begin with the hello of a shim that can do what is needed."""
        if request.HasField("hello"):
            missing = [name for name in NEEDED if name not in request.hello.capabilities]
            if missing:
                raise PenstockError(
                    Code.WRONG_STATE,
                    "SHIM_TOO_OLD",
                    f"this shim lacks what answers of this service may need ({', '.join(missing)}): upgrade it",
                )
            self._greeted = True
        elif not self._greeted:
            raise PenstockError(
                Code.WRONG_STATE, "HELLO_MISSING", "a decision stream begins with a hello: say who connects first"
            )

    def _start(self, questions: list[Question]) -> None:
        self._asked.update([(question.call_id, question) for question in questions])
        batch = self._decisions.batch(self._shim, questions, self._deliver, self._hold)
        task = asyncio.get_running_loop().create_task(batch)
        self._tasks.add(task)
        task.add_done_callback(self._decided)

    def _decided(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.outbox.fail(task.exception())

    def _deliver(self, answer: Answer) -> None:
        if answer.outcome is Outcome.PENDING:
            question = self._asked.get(answer.call_id)
        else:
            self._held.discard(answer.call_id)
            question = self._asked.pop(answer.call_id, None)
        if question is not None:
            self.outbox.verdict(verdict_to_pb(answer), question)

    def _hold(self, held: Held) -> None:
        # One that was cancelled meanwhile is not held: its approval would spend the grant for nobody.
        if held.question.call_id in self._asked:
            self._held.add(held.question.call_id)
            self._holds.add(held)

    def close(self) -> None:
        """Forgets what this stream held, and stops deciding for it."""
        self._holds.drop(self._held)
        for task in self._tasks:
            task.cancel()

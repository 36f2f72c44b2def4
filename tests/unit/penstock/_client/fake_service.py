"""A policy service that a test plays by hand: it sees every message and sends what the test tells it to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock._core.verdict import Ask
from penstock.v1 import decision_pb2 as pb
from penstock.v1 import decision_pb2_grpc, recording_pb2_grpc

__all__ = ["CONFIG", "Conversation", "FakeService", "allow", "an_ask", "running_service"]

CONFIG = pb.DecideStreamResponse(
    epoch=1,
    config=pb.ShimConfig(policy_revision=7, upstreams=[pb.UpstreamConfig(name="billing", url="http://b", mount="/b")]),
)


def an_ask(call_id: str, body: bytes = b"") -> Ask:
    """Returns an ask with that call id."""
    state = BodyState.WHOLE if body else BodyState.NONE
    return Ask(call_id, "to" + "ken", Action("billing", HttpRequest("GET", "b", "/v1/x", body_state=state, body=body)))


def allow(*call_ids: str, epoch: int = 1) -> pb.DecideStreamResponse:
    """Returns a message that allows these calls."""
    verdicts = [pb.Verdict(call_id=call_id, outcome=pb.OUTCOME_ALLOW, epoch=epoch) for call_id in call_ids]
    return pb.DecideStreamResponse(epoch=epoch, verdicts=verdicts)


class Conversation:
    """Is one open stream, from the service's side."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.metadata = metadata
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.outbox: asyncio.Queue[Any] = asyncio.Queue()
        self.refusal: tuple[grpc.StatusCode, str] | None = None

    async def next(self) -> Any:
        """Returns the next message of the client."""
        return await asyncio.wait_for(self.inbox.get(), 10)

    def send(self, message: Any) -> None:
        """Sends one message to the client."""
        self.outbox.put_nowait(message)

    def end(self, code: grpc.StatusCode | None = None, details: str = "") -> None:
        """Ends the stream, with a status if one is given."""
        self.refusal = (code, details) if code is not None else None
        self.outbox.put_nowait(None)


class FakeService(decision_pb2_grpc.DecisionServiceServicer, recording_pb2_grpc.RecordingServiceServicer):
    """Serves both streams on one Unix socket; each opened one is put into its queue."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder / 's'}"
        self.decisions: asyncio.Queue[Conversation] = asyncio.Queue()
        self.recordings: asyncio.Queue[Conversation] = asyncio.Queue()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Starts to serve."""
        self._make().add_insecure_port(self.address)
        await self._make().start()

    async def start_tls(self, key: bytes, certificate: bytes) -> int:
        """Starts to serve on a loopback port with TLS; returns the port."""
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = self._make().add_secure_port("127.0.0.1:0", credentials)
        await self._make().start()
        return port

    def _make(self) -> grpc.aio.Server:
        if self._server is None:
            self._server = grpc.aio.server()
            decision_pb2_grpc.add_DecisionServiceServicer_to_server(self, self._server)
            recording_pb2_grpc.add_RecordingServiceServicer_to_server(self, self._server)
        return self._server

    async def stop(self) -> None:
        """Ends at once, with all streams."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def decision_stream(self) -> Conversation:
        """Returns the next decision stream that a client opened."""
        return await asyncio.wait_for(self.decisions.get(), 10)

    async def recording_stream(self) -> Conversation:
        """Returns the next recording stream that a client opened."""
        return await asyncio.wait_for(self.recordings.get(), 10)

    async def Decide(self, request: Any, context: Any) -> pb.DecideResponse:  # noqa: N802, RUF100 - name of the RPC
        raise NotImplementedError

    async def DecideStream(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802, RUF100 - same
        async for message in self._converse(self.decisions, request_iterator, context):
            yield message

    async def Record(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802, RUF100 - same
        async for message in self._converse(self.recordings, request_iterator, context):
            yield message

    async def _converse(self, opened: asyncio.Queue[Conversation], requests: Any, context: Any) -> AsyncIterator[Any]:
        conversation = Conversation(dict(context.invocation_metadata()))
        opened.put_nowait(conversation)

        async def listen() -> None:
            async for request in requests:
                conversation.inbox.put_nowait(request)

        listening = asyncio.create_task(listen())
        try:
            while (message := await conversation.outbox.get()) is not None:
                yield message
            if conversation.refusal is not None:
                await context.abort(*conversation.refusal)
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


@contextlib.asynccontextmanager
async def running_service(folder: Path) -> AsyncIterator[FakeService]:
    """Runs a fake service for a block."""
    service = FakeService(folder)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()

"""Every servicer behind the real interceptor, called without a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from penstock.v1 import (
    approval_pb2_grpc,
    approver_pb2_grpc,
    audit_pb2_grpc,
    decision_pb2_grpc,
    policy_pb2_grpc,
    recording_pb2_grpc,
    secret_pb2_grpc,
    shim_pb2_grpc,
    token_pb2_grpc,
)
from penstock_server.config import DEFAULT_ROLES
from penstock_server.domain.principal import Role
from penstock_server.rpc.approval import ApprovalServicer, ApproverServicer
from penstock_server.rpc.audit import AuditServicer
from penstock_server.rpc.decision import DecisionServicer
from penstock_server.rpc.edge import Edge
from penstock_server.rpc.keeping import SecretServicer, ShimServicer, TokenServicer
from penstock_server.rpc.policy import PolicyServicer
from penstock_server.rpc.recording import RecordingServicer
from penstock_server.rpc.shim_config import ShimConfigs
from unit.penstock_server.operations.world import World

__all__ = ["ROLES", "AbortedError", "Call", "MemoryServer", "info_of", "served"]

ROLES = {**DEFAULT_ROLES, Role.APPROVER: frozenset({"approvers", "finance"})}


class AbortedError(grpc.aio.AbortError):
    """Is what a context raises when it aborts; holds the status that the caller gets."""

    def __init__(self, status: Any) -> None:
        super().__init__()
        self.status = status
        self.code: grpc.StatusCode = status.code


class Details(NamedTuple):
    """Stands for grpc.HandlerCallDetails."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...] = ()


@dataclass
class Context:
    """Stands for a call's context: gives metadata, and aborts once."""

    metadata: tuple[tuple[str, str], ...]
    written: list[Any] = field(default_factory=list)
    aborted: bool = False

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    async def write(self, message: Any) -> None:
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        await self.abort_with_status(Status(code, details))

    async def abort_with_status(self, status: Any) -> NoReturn:
        assert not self.aborted, "aborting twice is a usage error in grpc.aio"
        self.aborted = True
        raise AbortedError(status)


class Status(NamedTuple):
    """Stands for grpc.Status."""

    code: grpc.StatusCode
    details: str = ""
    trailing_metadata: tuple[tuple[str, bytes], ...] = ()


class Call:
    """Is one open stream: messages go in, answers come out, and it ends with an error or without."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        self._responses: asyncio.Queue[Any] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    def send(self, request: Any) -> None:
        """Sends a message."""
        self._requests.put_nowait(request)

    def done_writing(self) -> None:
        """Says that no message follows."""
        self._requests.put_nowait(None)

    async def read(self) -> Any:
        """Returns the next answer; None at a proper end; raises AbortedError at another one."""
        answer = await asyncio.wait_for(self._responses.get(), 20)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def hang_up(self) -> None:
        """Cancels the call, as a client that goes away."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])

    async def run(self, behaviour: Callable[[Any, Any], AsyncIterator[Any]], context: Context) -> None:
        """Serves the call."""

        async def requests() -> AsyncIterator[Any]:
            while (request := await self._requests.get()) is not None:
                yield request

        try:
            async for response in behaviour(requests(), context):
                self._responses.put_nowait(response)
            self._responses.put_nowait(None)
        except Exception as error:
            self._responses.put_nowait(error)


@dataclass
class MemoryServer:
    """Holds the handlers of all services, by method, and the interceptor before them."""

    edge: Edge
    handlers: dict[str, Any] = field(default_factory=dict)

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Takes what the generated code offers; the registered handlers are the same ones."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Takes the handlers of one service."""
        self.handlers.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

    async def handler(self, method: str) -> Any:
        """Returns what the interceptor makes of a method, None if it is unknown."""

        async def continuation(details: Any) -> Any:
            return self.handlers.get(details.method)

        return await self.edge.intercept_service(continuation, Details(method))  # type: ignore[arg-type] # stands for it

    async def call(self, method: str, request: Any, token: str = "", **metadata: str) -> Any:
        """Returns the answer of one unary call; raises AbortedError."""
        handler = await self.handler(f"/penstock.v1.{method}")
        context = Context(_metadata(token, metadata))
        return await asyncio.create_task(handler.unary_unary(request, context))

    async def stream(self, method: str, token: str = "", request: Any = None) -> Call:
        """Opens a stream; with a request, one whose only message that is."""
        handler = await self.handler(f"/penstock.v1.{method}")
        call = Call()
        behaviour = handler.stream_stream
        if request is not None:
            unary = handler.unary_stream

            def behaviour(_: Any, context: Any) -> AsyncIterator[Any]:
                answers: AsyncIterator[Any] = unary(request, context)
                return answers

        call.task = asyncio.create_task(call.run(behaviour, Context(_metadata(token, {}))))
        return call


def _metadata(token: str, more: dict[str, str]) -> tuple[tuple[str, str], ...]:
    bearer = (("authorization", f"Bearer {token}"),) if token else ()
    return (*bearer, *more.items())


def served(world: World) -> MemoryServer:
    """Returns a server of all services over the world's operations."""
    server: Any = MemoryServer(Edge(world.verifier, world.enrolment, ROLES, world.clock))
    configs = ShimConfigs(world.active, world.shims)
    decision = DecisionServicer(world.decisions, world.holds, configs)
    decision_pb2_grpc.add_DecisionServiceServicer_to_server(decision, server)
    approval_pb2_grpc.add_ApprovalServiceServicer_to_server(ApprovalServicer(world.reviews), server)
    approver_pb2_grpc.add_ApproverServiceServicer_to_server(ApproverServicer(world.reviews), server)
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(world.policy), server)
    secret_pb2_grpc.add_SecretServiceServicer_to_server(SecretServicer(world.keeping), server)
    shim_pb2_grpc.add_ShimServiceServicer_to_server(ShimServicer(world.enrolment), server)
    token_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(world.tokens), server)
    recording_pb2_grpc.add_RecordingServiceServicer_to_server(RecordingServicer(world.recordings), server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(world.log), server)
    found: MemoryServer = server
    return found


def info_of(status: Any) -> error_details_pb2.ErrorInfo:
    """Returns the ErrorInfo in a status."""
    packed = next(value for name, value in status.trailing_metadata if name == "grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(packed).details[0].Unpack(info)
    return info

"""Tests of the interceptor: one role a service, an agent is only ever an agent, and errors tell nothing."""

import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from penstock.v1 import (
    approver_pb2,
    audit_pb2,
    decision_pb2,
    policy_pb2,
    recording_pb2,
    secret_pb2,
    shim_pb2,
    token_pb2,
)
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal, Role
from penstock_server.rpc.edge import OPEN_SERVICES, SERVICE_ROLES, Edge, caller, calling_shim
from penstock_server.rpc.status import INTERNAL_TEXT
from unit.penstock_server.operations.world import World
from unit.penstock_server.rpc.memory_server import AbortedError, Context, MemoryServer, Status, info_of

pytestmark = pytest.mark.anyio

PLANTED = "plan" + "ted-secret"

OPENS = {"bot": Role.AGENT, "ann": Role.APPROVER, "root": Role.ADMIN, "sam": Role.SECRETS, "aud": Role.AUDITOR}


async def _refusal(server: MemoryServer, method: str, request: Any, token: str, **metadata: str) -> AbortedError:
    with pytest.raises(AbortedError) as refused:
        await server.call(method, request, token, **metadata)
    return refused.value


async def _stream_refusal(server: MemoryServer, method: str, token: str) -> AbortedError:
    call = await server.stream(method, token)
    with pytest.raises(AbortedError) as refused:
        await call.read()
    return refused.value


async def test_every_method_is_open_to_its_role_and_closed_to_all_others(
    server: MemoryServer, shim: str, owned: Principal
) -> None:
    """Whoever lacks the role is refused before the request is looked at, whatever the method."""
    from penstock_server.rpc import edge

    for method, handler in server.handlers.items():
        service = method.rpartition("/")[0].lstrip("/")
        for token, role in {**OPENS, "owned": Role.AGENT}.items():
            if role is SERVICE_ROLES[service]:
                continue
            context = Context((("authorization", f"Bearer {token}"),))
            wrapped = await server.handler(method)
            with pytest.raises(AbortedError) as refused:
                if handler.response_streaming:
                    behaviour = wrapped.stream_stream if handler.request_streaming else wrapped.unary_stream
                    async for _ in behaviour(None, context):
                        raise AssertionError(f"{method} answered {token}")
                else:
                    await wrapped.unary_unary(None, context)
            expected = (
                grpc.StatusCode.UNAUTHENTICATED
                if SERVICE_ROLES[service] is Role.SHIM
                else grpc.StatusCode.PERMISSION_DENIED
            )
            assert refused.value.code is expected, (method, token)
    assert edge.SERVICE_ROLES.keys() == {method.rpartition("/")[0].lstrip("/") for method in server.handlers}


async def test_an_agents_token_alone_opens_no_decision_and_no_recording(server: MemoryServer) -> None:
    """Neither the unary call nor either stream: they demand a shim's own credential."""
    refusal = await _refusal(server, "DecisionService/Decide", decision_pb2.DecideRequest(), "bot")
    assert (refusal.code, info_of(refusal.status).reason) == (grpc.StatusCode.UNAUTHENTICATED, "SHIM_UNKNOWN")
    for method in ("DecisionService/DecideStream", "RecordingService/Record"):
        refusal = await _stream_refusal(server, method, "bot")
        assert info_of(refusal.status).reason == "SHIM_UNKNOWN"


async def test_a_shims_credential_opens_nothing_else(server: MemoryServer, shim: str) -> None:
    """It is no token of a person or an agent."""
    for method, request in (
        ("PolicyService/ShowPolicy", policy_pb2.ShowPolicyRequest()),
        ("SecretService/ListSecrets", secret_pb2.ListSecretsRequest()),
        ("AuditService/ListEntries", audit_pb2.ListEntriesRequest()),
        ("ShimService/ListShims", shim_pb2.ListShimsRequest()),
        ("TokenService/IssueToken", token_pb2.IssueTokenRequest(subject="x")),
        ("ApproverService/ListApprovals", approver_pb2.ListApprovalsRequest()),
    ):
        refusal = await _refusal(server, method, request, shim)
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


async def test_an_agent_in_every_powerful_group_cannot_approve(server: MemoryServer, owned: Principal) -> None:
    """Nor do anything else than an agent may."""
    refusal = await _refusal(server, "ApproverService/Approve", approver_pb2.ApproveRequest(name="apr_1"), "owned")
    assert (refusal.code, info_of(refusal.status).reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", "root"),), "TOKEN_MISSING"),
        ((("authorization", "Basic root"),), "TOKEN_MISSING"),
        ((("authorization", "Bearer root"), ("authorization", "Bearer root")), "TOKEN_MISSING"),
        ((("authorization", "Bearer forged"),), "TOKEN_INVALID"),
        ((("x-api-key", "root"),), "TOKEN_MISSING"),
    ],
)
async def test_a_call_carries_exactly_one_token(
    server: MemoryServer, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    """Two, even equal ones, are as good as none."""
    handler = await server.handler("/penstock.v1.PolicyService/ShowPolicy")
    with pytest.raises(AbortedError) as refused:
        await handler.unary_unary(policy_pb2.ShowPolicyRequest(), Context(metadata))
    assert (refused.value.code, info_of(refused.value.status).reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)


async def test_the_word_bearer_is_read_in_any_case(server: MemoryServer) -> None:
    """As RFC 7235 says."""
    handler = await server.handler("/penstock.v1.PolicyService/ShowPolicy")
    context = Context((("authorization", "bEARER root"),))
    assert (await handler.unary_unary(policy_pb2.ShowPolicyRequest(), context)).revision.number == 1


async def test_an_expired_token_is_refused(server: MemoryServer, world: World) -> None:
    """By the clock of the call."""
    world.clock.now_ms = world.verifier.principals["root"].expires_at_ms
    refusal = await _refusal(server, "PolicyService/ShowPolicy", policy_pb2.ShowPolicyRequest(), "root")
    assert info_of(refusal.status).reason == "TOKEN_EXPIRED"


async def test_a_stream_ends_with_its_token(server: MemoryServer, world: World) -> None:
    """An auditor who follows the log gets no entry that came after the token's end."""
    call = await server.stream("AuditService/TailEntries", "aud", audit_pb2.TailEntriesRequest())
    await world.journal.write(world.journal.event("first", caller_of(world, "aud")))
    assert (await call.read()).entry.kind == "first"
    world.clock.now_ms = world.verifier.principals["aud"].expires_at_ms
    await world.journal.write(world.journal.event("second", caller_of(world, "aud")))
    with pytest.raises(AbortedError) as refused:
        await call.read()
    assert info_of(refused.value.status).reason == "TOKEN_EXPIRED"


def caller_of(world: World, token: str) -> Principal:
    """Returns whose token it is."""
    return world.verifier.principals[token]


async def _wrapped(world: World, service: str, **handler: Any) -> Any:
    """Returns what the interceptor makes of one handler."""
    given = {"request_streaming": False, "response_streaming": False, "unary_unary": None, "unary_stream": None}
    given |= {"stream_stream": None, "request_deserializer": None, "response_serializer": None, **handler}

    async def continuation(_: Any) -> Any:
        return SimpleNamespace(**given)

    edge = Edge(world.verifier, world.enrolment, {}, world.clock)
    return await edge.intercept_service(continuation, SimpleNamespace(method=f"/{service}/M"))  # type: ignore[arg-type]  # stands for it


def _fails(error: BaseException) -> Callable[[Any, Any], Any]:
    async def behaviour(request: Any, context: Any) -> Any:
        raise error

    return behaviour


def _fails_later(error: BaseException) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def behaviour(request: Any, context: Any) -> AsyncIterator[Any]:
        yield "one"
        raise error

    return behaviour


async def test_an_unforeseen_error_tells_the_caller_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Nor the log more than its type and place: text and arguments may hold anything."""
    (health, *_) = OPEN_SERVICES
    with caplog.at_level(logging.DEBUG):
        wrapped = await _wrapped(world, health, unary_unary=_fails(RuntimeError(PLANTED)))
        with pytest.raises(AbortedError) as refused:
            await wrapped.unary_unary(None, Context(()))
        streaming = await _wrapped(world, health, response_streaming=True, unary_stream=_fails_later(KeyError(PLANTED)))
        received = []
        with pytest.raises(AbortedError) as cut:
            async for response in streaming.unary_stream(None, Context(())):
                received.append(response)  # noqa: PERF401 - what came before the error is looked at after it
    assert received == ["one"]
    for status in (refused.value.status, cut.value.status):
        assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
        assert PLANTED not in repr(status)
    assert PLANTED not in caplog.text
    assert "RuntimeError at" in caplog.text and "test_edge.py:" in caplog.text


async def test_an_error_of_ours_keeps_its_status(world: World) -> None:
    """With reason and text, before and after the first answer of a stream."""
    error = PenstockError(Code.CONFLICT, "TAKEN", "choose another name")
    (health, *_) = OPEN_SERVICES
    wrapped = await _wrapped(world, health, unary_unary=_fails(error))
    with pytest.raises(AbortedError) as refused:
        await wrapped.unary_unary(None, Context(()))
    assert (refused.value.code, refused.value.status.details) == (grpc.StatusCode.ABORTED, "choose another name")


async def test_an_abort_is_passed_on_and_not_made_twice(world: World) -> None:
    """A servicer that is not ours may abort: its status is the one that counts."""

    async def aborts(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")

    async def aborts_later(request: Any, context: Any) -> AsyncIterator[Any]:
        yield "one"
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")

    (health, *_) = OPEN_SERVICES
    wrapped = await _wrapped(world, health, unary_unary=aborts)
    with pytest.raises(AbortedError) as refused:
        await wrapped.unary_unary(None, Context(()))
    assert refused.value.status == Status(grpc.StatusCode.NOT_FOUND, "unknown service")
    streaming = await _wrapped(world, health, response_streaming=True, unary_stream=aborts_later)
    with pytest.raises(AbortedError) as cut:
        async for _ in streaming.unary_stream(None, Context(())):
            pass
    assert cut.value.status == Status(grpc.StatusCode.NOT_FOUND, "unknown service")


async def test_a_stream_that_writes_to_its_context_works(world: World) -> None:
    """Health's Watch is such a coroutine."""

    async def watches(request: Any, context: Any) -> None:
        await context.write("serving")

    (health, *_) = OPEN_SERVICES
    wrapped = await _wrapped(world, health, response_streaming=True, unary_stream=watches)
    context = Context(())
    await wrapped.unary_stream(None, context)
    assert context.written == ["serving"]


async def test_a_service_that_nobody_listed_is_closed(world: World) -> None:
    """Also to an administrator; a method that does not exist stays unknown."""

    async def opens(request: Any, context: Any) -> str:
        return "open"

    wrapped = await _wrapped(world, "penstock.v1.NewService", unary_unary=opens)
    with pytest.raises(AbortedError) as refused:
        await wrapped.unary_unary(None, Context((("authorization", "Bearer root"),)))
    assert info_of(refused.value.status).reason == "SERVICE_CLOSED"
    edge = Edge(world.verifier, world.enrolment, {}, world.clock)

    async def unknown(_: Any) -> None:
        return None

    assert await edge.intercept_service(unknown, SimpleNamespace(method="/a.B/C")) is None  # type: ignore[arg-type]  # stands for it
    assert await _wrapped(world, "penstock.v1.NewService", request_streaming=True) is None


async def test_each_call_knows_its_own_caller(server: MemoryServer, world: World, shim: str) -> None:
    """Outside a call there is none."""
    with pytest.raises(LookupError):
        caller()
    with pytest.raises(LookupError):
        calling_shim()
    await server.call("ShimService/RevokeShim", shim_pb2.RevokeShimRequest(name="two"), "root")
    assert world.last().actor == caller_of(world, "root")


async def test_a_recording_stream_is_the_shims_own(server: MemoryServer, world: World, shim: str) -> None:
    """Frames are stored under the name of the shim whose credential opened the stream."""
    call = await server.stream("RecordingService/Record", shim)
    frame = recording_pb2.Frame(seq=1, kind=recording_pb2.FRAME_KIND_END)
    call.send(recording_pb2.RecordRequest(run_id="a" * 32, frames=[frame]))
    assert (await call.read()).acknowledged == 1
    assert list(world.frames.rows) == [("two", "a" * 32)]
    await call.hang_up()

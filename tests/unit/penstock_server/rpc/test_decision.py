"""Tests of DecisionService: questions in, verdicts out, on one ordered stream a shim."""

import asyncio

import grpc
import pytest

from penstock._core.describe import Action, BodyState
from penstock.v1 import action_pb2
from penstock.v1 import decision_pb2 as pb
from penstock_server.rpc import decision
from unit.penstock_server.operations.world import ADMIN, NOTHING, POLICY, World, call_id, http, refund
from unit.penstock_server.rpc.memory_server import AbortedError, Call, MemoryServer, info_of

pytestmark = pytest.mark.anyio

STATES = {
    BodyState.NONE: action_pb2.BODY_STATE_NONE,
    BodyState.WITHHELD: action_pb2.BODY_STATE_WITHHELD,
    BodyState.WHOLE: action_pb2.BODY_STATE_WHOLE,
}

HELLO = pb.DecideStreamRequest(hello=pb.Hello(version="0.1.0", capabilities=decision.NEEDED))


def ask(action: Action, number: int = 1, *, token: str = "bot", can_hold: bool = True) -> pb.Ask:
    """Returns the question of that number."""
    found = action.http
    message = action_pb2.Action(
        upstream=action.upstream,
        http=action_pb2.HttpRequest(
            method=found.method,
            authority=found.authority,
            path=found.path,
            query=found.query,
            headers=[action_pb2.Header(name=name, value=value) for name, value in found.headers],
            body_state=STATES[found.body_state],
            body=found.body,
        ),
    )
    return pb.Ask(call_id=call_id(number), token=token, action=message, can_hold=can_hold)


async def _opened(server: MemoryServer, shim: str) -> Call:
    """Opens a stream and takes its configuration."""
    call = await server.stream("DecisionService/DecideStream", shim)
    call.send(HELLO)
    assert (await call.read()).config.policy_revision == 1
    return call


async def _next(call: Call) -> pb.DecideStreamResponse:
    """Returns the next message that is more than a sign of life."""
    while True:
        message: pb.DecideStreamResponse = await call.read()
        if message is None or message.HasField("config") or message.verdicts:
            return message


async def _verdicts(call: Call, count: int) -> dict[int, pb.Verdict]:
    """Reads until that many verdicts have come; returns them by number."""
    found: dict[int, pb.Verdict] = {}
    while len(found) < count:
        for verdict in (await call.read()).verdicts:
            found[int(verdict.call_id, 16)] = verdict
    return found


async def test_one_question_gets_one_verdict(server: MemoryServer, shim: str) -> None:
    """A gated one is pending at once, although the shim could hold it."""
    for number, action, outcome in (
        (1, http(), pb.OUTCOME_ALLOW),
        (2, http("DELETE"), pb.OUTCOME_DENY),
        (3, refund(), pb.OUTCOME_PENDING),
    ):
        answer = await server.call("DecisionService/Decide", pb.DecideRequest(ask=ask(action, number)), shim)
        assert (answer.verdict.call_id, answer.verdict.outcome) == (call_id(number), outcome)
        assert answer.verdict.HasField("obligations") == (outcome == pb.OUTCOME_ALLOW)


async def test_many_questions_on_one_stream(server: MemoryServer, shim: str) -> None:
    """Each gets its own verdict, however they were packed."""
    call = await _opened(server, shim)
    call.send(pb.DecideStreamRequest(asks=[ask(http(), number) for number in range(1, 20)]))
    call.send(pb.DecideStreamRequest(asks=[ask(http("DELETE"), 20)]))
    verdicts = await _verdicts(call, 20)
    assert {verdicts[number].outcome for number in range(1, 20)} == {pb.OUTCOME_ALLOW}
    assert verdicts[20].rule == "no-deletes"
    await call.hang_up()


async def test_a_body_is_asked_for_and_then_judged(server: MemoryServer, world: World, shim: str) -> None:
    """With the same call id."""
    await world.policy.apply(ADMIN, POLICY + "    when: request.json.amount > 100\n", dry_run=False)
    call = await server.stream("DecisionService/DecideStream", shim)
    call.send(HELLO)
    whole = ask(refund())
    bare = pb.Ask()
    bare.CopyFrom(whole)
    bare.action.http.body_state, bare.action.http.body = action_pb2.BODY_STATE_WITHHELD, b""
    call.send(pb.DecideStreamRequest(asks=[bare]))
    verdict = (await _verdicts(call, 1))[1]
    assert (verdict.outcome, verdict.need_body_max) == (pb.OUTCOME_NEED_BODY, 1 << 20)
    call.send(pb.DecideStreamRequest(asks=[whole]))
    assert (await _verdicts(call, 1))[1].outcome == pb.OUTCOME_PENDING
    await call.hang_up()


async def test_a_held_verdict_arrives_on_the_same_stream(server: MemoryServer, world: World, shim: str) -> None:
    """First pending, then, after the approval, an allow with its credential."""
    holding = asyncio.create_task(world.holds.run())
    call = await _opened(server, shim)
    call.send(pb.DecideStreamRequest(asks=[ask(refund())]))
    pending = (await _verdicts(call, 1))[1]
    assert pending.outcome == pb.OUTCOME_PENDING and pending.approval.hold_ms == 60_000
    await world.review(pending.approval.name)
    final = (await _verdicts(call, 1))[1]
    assert final.outcome == pb.OUTCOME_ALLOW and final.obligations.credential.value
    holding.cancel()
    await call.hang_up()


async def test_a_cancelled_call_gets_no_verdict_and_spends_nothing(
    server: MemoryServer, world: World, shim: str
) -> None:
    """Its approval is there for the same request sent again."""
    call = await _opened(server, shim)
    call.send(pb.DecideStreamRequest(asks=[ask(refund())]))
    pending = (await _verdicts(call, 1))[1]
    call.send(pb.DecideStreamRequest(cancelled=[call_id(1)], asks=[ask(http(), 2)]))
    await _verdicts(call, 1)
    await world.review(pending.approval.name)
    await world.holds._look()
    assert world.approvals.uses == {}
    await call.hang_up()


async def test_a_call_that_is_cancelled_while_it_is_judged_is_not_held(
    server: MemoryServer, world: World, shim: str
) -> None:
    """The cancellation overtakes the commit: no verdict is sent, and the approval spends nothing for nobody."""
    call = await _opened(server, shim)
    world.log.open.clear()
    call.send(pb.DecideStreamRequest(asks=[ask(refund())]))
    call.send(pb.DecideStreamRequest(cancelled=[call_id(1)]))
    for _ in range(50):
        await asyncio.sleep(0)
    world.log.open.set()
    call.send(pb.DecideStreamRequest(asks=[ask(http(), 2)]))
    assert (await _verdicts(call, 1)).keys() == {2}
    (name,) = world.approvals.rows
    await world.review(name)
    await world.holds._look()
    await asyncio.sleep(0.01)
    assert world.approvals.uses == {}
    await call.hang_up()


async def test_one_stream_cannot_cancel_what_another_one_holds(server: MemoryServer, world: World, shim: str) -> None:
    """Call ids are the shim's own."""
    holding, other = await _opened(server, shim), await _opened(server, shim)
    holding.send(pb.DecideStreamRequest(asks=[ask(refund())]))
    pending = (await _verdicts(holding, 1))[1]
    other.send(pb.DecideStreamRequest(cancelled=[call_id(1)], asks=[ask(http(), 2)]))
    await _verdicts(other, 1)
    await world.review(pending.approval.name)
    await world.holds._look()
    assert (await _verdicts(holding, 1))[1].outcome == pb.OUTCOME_ALLOW
    await holding.hang_up()
    await other.hang_up()


async def test_a_stream_that_goes_away_holds_nothing(server: MemoryServer, world: World, shim: str) -> None:
    """A disconnect is no verdict: the request stays pending, and its approval stays unspent."""
    call = await _opened(server, shim)
    call.send(pb.DecideStreamRequest(asks=[ask(refund())]))
    pending = (await _verdicts(call, 1))[1]
    await call.hang_up()
    assert (await world.review(pending.approval.name)).grant is not None
    await world.holds._look()
    await asyncio.sleep(0.01)
    assert world.approvals.uses == {}


async def test_a_revoked_shims_stream_is_cut(server: MemoryServer, world: World, shim: str) -> None:
    """At once, without asking."""
    call = await _opened(server, shim)
    await world.enrolment.revoke(ADMIN, "two")
    with pytest.raises(AbortedError) as refused:
        await _next(call)
    assert (refused.value.code, info_of(refused.value.status).reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "SHIM_REVOKED",
    )


async def test_a_policy_change_pushes_a_new_configuration(server: MemoryServer, world: World, shim: str) -> None:
    """With the epoch, and verdicts follow it."""
    call = await _opened(server, shim)
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    message = await _next(call)
    assert (message.config.policy_revision, message.epoch) == (2, world.policies.value)
    call.send(pb.DecideStreamRequest(asks=[ask(http())]))
    verdict = (await _verdicts(call, 1))[1]
    assert (verdict.outcome, verdict.epoch) == (pb.OUTCOME_DENY, world.policies.value)
    await call.hang_up()


async def test_a_verdict_that_waited_for_the_client_is_judged_again(
    server: MemoryServer, world: World, shim: str
) -> None:
    """A change between the commit and the write: the allow of the older state does not leave."""
    call = await _opened(server, shim)
    world.log.meanwhile = [lambda: world.elsewhere(NOTHING)]
    call.send(pb.DecideStreamRequest(asks=[ask(http(), number) for number in range(1, 4)]))
    found = await _verdicts(call, 3)
    assert {verdict.outcome for verdict in found.values()} == {pb.OUTCOME_DENY}
    await call.hang_up()


@pytest.mark.parametrize(
    "wrong",
    [
        pb.Ask(call_id="x", token="bot", action=ask(http()).action),
        pb.Ask(call_id=call_id(1), token="bot"),
        pb.Ask(call_id=call_id(1).upper().replace("0", "A"), token="bot", action=ask(http()).action),
    ],
)
async def test_what_cannot_be_understood_ends_the_stream(server: MemoryServer, shim: str, wrong: pb.Ask) -> None:
    """As INVALID_ARGUMENT, on the stream and on the unary call; nothing is allowed by it."""
    call = await _opened(server, shim)
    call.send(pb.DecideStreamRequest(asks=[wrong]))
    with pytest.raises(AbortedError) as refused:
        await _next(call)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(AbortedError):
        await server.call("DecisionService/Decide", pb.DecideRequest(ask=wrong), shim)


async def test_an_unforeseen_failure_ends_the_stream_and_tells_nothing(
    server: MemoryServer, world: World, shim: str
) -> None:
    """Its questions get a denial first; the error's text is in nothing."""
    planted = "plan" + "ted-secret"

    async def breaks() -> None:
        raise RuntimeError(planted)

    call = await _opened(server, shim)
    world.log.meanwhile = [breaks]
    call.send(pb.DecideStreamRequest(asks=[ask(http())]))
    with pytest.raises(AbortedError) as refused:
        while True:
            for verdict in (await call.read()).verdicts:
                assert verdict.outcome == pb.OUTCOME_DENY and planted not in verdict.reason
    assert refused.value.code is grpc.StatusCode.INTERNAL
    assert planted not in repr(refused.value.status)


async def test_a_shim_that_asks_too_much_waits(
    server: MemoryServer, world: World, shim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops while so many batches are under way, and all are answered in the end."""
    monkeypatch.setattr(decision, "MAX_BATCHES", 2)
    call = await _opened(server, shim)
    world.log.open.clear()
    for number in range(1, 9):
        call.send(pb.DecideStreamRequest(asks=[ask(http(), number)]))
    for _ in range(100):
        await asyncio.sleep(0)
    assert call._requests.qsize() >= 4
    world.log.open.set()
    assert len(await _verdicts(call, 8)) == 8
    await call.hang_up()


@pytest.mark.parametrize("lacking", decision.NEEDED)
async def test_a_shim_that_could_not_do_as_it_is_told_is_refused(server: MemoryServer, shim: str, lacking: str) -> None:
    """By what it lacks; more than is needed does no harm."""
    capabilities = [name for name in (*decision.NEEDED, "more") if name != lacking]
    call = await server.stream("DecisionService/DecideStream", shim)
    hello = pb.Hello(version="0.0.1", capabilities=capabilities)
    call.send(pb.DecideStreamRequest(hello=hello, asks=[ask(http())]))
    with pytest.raises(AbortedError) as refused:
        while not (await call.read()).verdicts:
            pass
    status = refused.value.status
    assert (refused.value.code, info_of(status).reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SHIM_TOO_OLD")
    assert f"({lacking})" in status.details


@pytest.mark.parametrize("early", [pb.DecideStreamRequest(asks=[ask(http())]), pb.DecideStreamRequest()])
async def test_a_stream_begins_with_a_hello(
    server: MemoryServer, world: World, shim: str, early: pb.DecideStreamRequest
) -> None:
    """What comes before it is not answered, and is not judged."""
    call = await server.stream("DecisionService/DecideStream", shim)
    logged = len(world.log.events)
    call.send(early)
    with pytest.raises(AbortedError) as refused:
        while not (await call.read()).verdicts:
            pass
    assert (refused.value.code, info_of(refused.value.status).reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HELLO_MISSING",
    )
    assert len(world.log.events) == logged


async def test_a_stream_ends_when_the_shim_says_so(server: MemoryServer, shim: str) -> None:
    """Properly."""
    call = await _opened(server, shim)
    call.done_writing()
    assert await _next(call) is None


async def test_a_stream_shows_that_it_lives(
    server: MemoryServer, world: World, shim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again, with the epoch and nothing else, although nobody asks; not before the configuration."""
    monkeypatch.setattr(decision, "BEAT_S", 0.001)
    call = await _opened(server, shim)
    for _ in range(5):
        assert await call.read() == pb.DecideStreamResponse(epoch=world.policies.value)
    call.done_writing()
    assert await _next(call) is None

"""Tests of reviews: another human decides, once, and who may not see a request is told that it does not exist."""

import asyncio
import json
from dataclasses import asdict, replace

import pytest

from penstock_server.domain.approval import State
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.identity import DEV_ISSUER
from penstock_server.operations.review import MAX_REASON
from unit.penstock_server.operations.world import AGENT, POLICY, SECRET, World, a_world, refund

pytestmark = pytest.mark.anyio

TWO = POLICY.replace("reviewers: [{group: finance}]", "reviewers: [{group: finance}], quorum: 2")


async def _pending(world: World, amount: int = 250, number: int = 1) -> str:
    return (await world.ask(refund(amount), number)).approval


async def _refused(attempt: object) -> PenstockError:
    with pytest.raises(PenstockError) as refused:
        await attempt  # type: ignore[misc] # a coroutine
    return refused.value


async def test_a_person_of_the_reviewers_approves(world: World) -> None:
    """The grant exists from then on; the log has the intent before and the outcome after."""
    name = await _pending(world)
    world.log.events.clear()
    after = await world.review(name, reason="fine")
    assert after.state is State.APPROVED and after.grant is not None
    assert world.log.kinds() == ["approval.review", "approval.approved"]
    done = world.last()
    assert (done.approval, done.reason, done.rules) == (name, "fine", ("refunds",))
    assert (done.details["state"], done.details["grant"], done.details["approved"]) == (
        "approved",
        after.grant.id,
        True,
    )
    assert done.actor.subject == "ann"


@pytest.mark.parametrize(
    "who",
    [
        Principal(DEV_ISSUER, "bot", frozenset({"finance"})),
        Principal(DEV_ISSUER, "olga", frozenset({"finance"})),
        Principal(DEV_ISSUER, "dora", frozenset({"finance"})),
        Principal(DEV_ISSUER, "ann", frozenset({"sales"})),
        Principal("urn:other", "ann", frozenset({"finance"})),
        Principal(DEV_ISSUER, "ann", frozenset({"finance"}), owner="zoe"),
        Principal(DEV_ISSUER, "ann", frozenset({"finance"}), delegator="zoe"),
        replace(AGENT, groups=frozenset({"agents", "finance"})),
    ],
)
@pytest.mark.parametrize("approved", [True, False])
async def test_who_may_not_review_learns_nothing(world: World, who: Principal, approved: bool) -> None:
    """Requester, owner, delegator, strangers and agents get the answer of a request that does not exist."""
    name = await _pending(world)
    absent = await _refused(world.reviews.decide(who, "apr_none", approved=approved, reason=""))
    for attempt in (world.reviews.decide(who, name, approved=approved, reason=""), world.reviews.show(who, name)):
        refusal = await _refused(attempt)
        assert (refusal.code, refusal.reason) == (absent.code, absent.reason) == (Code.NOT_FOUND, "APPROVAL_NOT_FOUND")
        assert refusal.message.replace(name, "apr_none") == absent.message
    assert await world.reviews.page(who, State.PENDING, 10, None) == ([], None)
    assert world.approvals.rows[name].state is State.PENDING


async def test_a_quorum_is_of_distinct_people(world: World) -> None:
    """The same one twice is one, and a second yes has no effect."""
    world = await a_world(TWO)
    name = await _pending(world)
    for _ in range(2):
        assert (await world.review(name)).state is State.PENDING
    assert (await world.review(name, who="bob")).state is State.APPROVED


async def test_a_no_beats_a_yes_and_is_final(world: World) -> None:
    """Nobody can approve it afterwards, and whoever tries learns its state."""
    world = await a_world(TWO)
    name = await _pending(world)
    await world.review(name)
    assert (await world.review(name, approved=False, who="bob")).state is State.DENIED
    refusal = await _refused(world.review(name, who="eve"))
    assert refusal.code is Code.WRONG_STATE
    assert world.log.kinds()[-1] == "approval.review.failed"
    assert world.approvals.grants == {}


async def test_saying_the_opposite_is_refused_and_saying_it_again_is_not(world: World) -> None:
    """A review is final; a retry has one effect."""
    name = await _pending(world)
    first = await world.review(name)
    world.clock.now_ms += 60_000
    assert await world.review(name) == first
    assert (await _refused(world.review(name, approved=False))).code is Code.CONFLICT


async def test_a_reviewer_may_bind_the_decision_to_what_was_shown(world: World) -> None:
    """Another digest is refused and changes nothing."""
    name = await _pending(world)
    ann = world.person("ann", "finance")
    shown = await world.reviews.show(ann, name)
    refusal = await _refused(world.reviews.decide(ann, name, approved=True, reason="", seen_digest=bytes(32)))
    assert refusal.reason == "ACTION_CHANGED"
    after = await world.reviews.decide(ann, name, approved=True, reason="", seen_digest=shown.new.digest)
    assert after.state is State.APPROVED


async def test_nothing_is_decided_after_the_deadline(world: World) -> None:
    """Although no sweeper ran."""
    name = await _pending(world)
    world.clock.now_ms += 600_000
    assert (await _refused(world.review(name))).code is Code.WRONG_STATE
    assert world.approvals.rows[name].grant is None


async def test_nothing_is_decided_without_a_log(world: World) -> None:
    """The intent comes first."""
    name = await _pending(world)
    world.log.failing = 1
    await _refused(world.review(name))
    assert world.approvals.rows[name].state is State.PENDING


async def test_a_reason_has_a_largest_size_and_is_text(world: World) -> None:
    """Both are told before anything is logged."""
    name = await _pending(world)
    world.log.events.clear()
    assert (await _refused(world.review(name, reason="a" * (MAX_REASON + 1)))).reason == "REASON_TOO_LONG"
    assert (await _refused(world.review(name, reason="a\0b"))).reason == "REASON_BINARY"
    assert world.log.events == []
    assert (await world.review(name, reason="a" * MAX_REASON)).state is State.APPROVED


async def test_a_secret_in_a_reason_reaches_neither_log_nor_agent(world: World) -> None:
    """A person who pastes one is masked like everything else that is stored or sent."""
    name = await _pending(world)
    after = await world.review(name, approved=False, reason=f"the key is {SECRET}, no")
    assert SECRET not in repr(after)
    assert SECRET not in json.dumps([asdict(event) for event in world.log.events], default=str)
    assert SECRET not in (await world.ask(refund(), 2)).reason


async def test_pages_hold_what_the_caller_may_review(world: World) -> None:
    """Newest first, without gap, however many others lie between."""
    for number in range(1, 8):
        world.verifier.principals["bot"] = replace(AGENT, owner="ann" if number % 2 else "olga")
        world.clock.now_ms += 1
        await _pending(world, number, number)
    ann = world.person("ann", "finance")
    first, after = await world.reviews.page(ann, State.PENDING, 2, None)
    assert after is not None
    rest, end = await world.reviews.page(ann, State.PENDING, 2, after)
    assert [row.new.call_id[-1] for row in [*first, *rest]] == ["6", "4", "2"]
    assert end is None


async def test_a_requester_sees_its_own_requests_alone(world: World) -> None:
    """Another agent, and the same one for another person, is told that there is none."""
    name = await _pending(world)
    assert (await world.reviews.own(AGENT, name)).new.id == name
    for who in (
        replace(AGENT, subject="x"),
        replace(AGENT, owner="x"),
        replace(AGENT, issuer="x"),
        world.person("ann"),
    ):
        refusal = await _refused(world.reviews.own(who, name))
        assert (refusal.code, refusal.reason) == (Code.NOT_FOUND, "APPROVAL_NOT_FOUND")
    assert (await _refused(world.reviews.own(AGENT, "apr_none"))).reason == "APPROVAL_NOT_FOUND"


async def test_a_requester_may_wait(world: World) -> None:
    """Until the request is decided, or until the time is over, which decides nothing."""
    name = await _pending(world)
    assert (await world.reviews.own(AGENT, name, 0.01)).state is State.PENDING
    waiting = asyncio.create_task(world.reviews.own(AGENT, name, 20))
    await asyncio.sleep(0)
    await world.review(name)
    assert (await waiting).state is State.APPROVED
    assert (await world.reviews.own(AGENT, name, 20)).state is State.APPROVED

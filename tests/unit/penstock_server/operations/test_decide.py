"""Tests of decisions: nothing leaves before its entry or from an older state; what cannot be logged is refused."""

import asyncio
from dataclasses import replace

import pytest

from penstock_server.domain.approval import ApprovalRequest, State
from penstock_server.operations.active import Active
from penstock_server.operations.answers import Answer, Outcome, Question
from penstock_server.operations.decide import MAX_REJUDGED, Held
from penstock_server.operations.interfaces import ShimRow
from penstock_server.operations.judge import Judgement
from unit.penstock_server.operations.world import (
    ADMIN,
    NOTHING,
    POLICY,
    SHIM,
    World,
    a_world,
    call_id,
    http,
    refund,
    withheld,
)

pytestmark = pytest.mark.anyio


async def test_what_no_rule_allows_is_denied(world: World) -> None:
    """The agent is told so; the log too, with the rules that nearly fitted."""
    answer = await world.ask(http("PUT", "/v1/x"))
    assert (answer.outcome, answer.code, answer.credential) == (Outcome.DENY, "no_rule", None)
    event = world.last()
    assert (event.kind, event.effect, event.call_id, event.decision_id) == (
        "decision",
        "deny",
        call_id(1),
        answer.decision_id,
    )
    assert ["reads", "http.methods"] in event.details["near_misses"]


async def test_without_a_policy_everything_is_denied() -> None:
    """Default deny holds from the first start."""
    world = await a_world("")
    assert (await world.ask(http())).outcome is Outcome.DENY


async def test_an_allow_carries_its_obligations_and_is_logged(world: World) -> None:
    """Rules, revision and epoch are those that were judged by."""
    answer = await world.ask(http("GET", "/v1/customers/1"))
    assert answer.outcome is Outcome.ALLOW
    assert answer.credential is not None and answer.credential.value.startswith(b"key ")
    assert len(answer.masks) == 1 and len(answer.mask_key) == 32
    event = world.last()
    assert (event.effect, event.rules, event.policy_revision) == ("allow", ("masks", "reads"), 1)
    assert answer.epoch == world.policies.value == event.details["epoch"]


async def test_nothing_leaves_before_its_entry_is_on_disk(world: World) -> None:
    """While the log waits for the disk, neither an allow nor a denial nor a pending answer is delivered."""
    world.log.open.clear()
    questions = [world.question(action, number) for number, action in enumerate((http(), http("DELETE"), refund()), 1)]
    task = asyncio.create_task(world.decisions.batch(SHIM, questions, world.answers.append, world.held.append))
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.answers == [] and not task.done()
    world.log.open.set()
    await task
    assert {answer.outcome for answer in world.answers} == {Outcome.ALLOW, Outcome.DENY, Outcome.PENDING}
    assert {event.call_id for event in world.log.events} == {question.call_id for question in questions}


async def test_what_cannot_be_logged_is_refused(world: World) -> None:
    """An allow becomes a denial without credential or key; the next one is allowed again without a restart."""
    world.log.failing = 1
    answer = await world.ask(http())
    assert (answer.outcome, answer.code) == (Outcome.DENY, "service_unavailable")
    assert (answer.credential, answer.mask_key, answer.masks) == (None, b"", ())
    assert (await world.ask(http(), 2)).outcome is Outcome.ALLOW


async def test_a_log_that_breaks_in_an_unforeseen_way_allows_nothing(world: World) -> None:
    """The denial is delivered without the error's text, and the error is not swallowed."""

    async def breaks() -> None:
        raise RuntimeError("with a secret")

    world.log.meanwhile.append(breaks)
    with pytest.raises(RuntimeError):
        await world.decisions.batch(SHIM, [world.question(http())], world.answers.append, world.held.append)
    (answer,) = world.answers
    assert answer.outcome is Outcome.DENY and "secret" not in answer.reason


async def test_a_question_that_cannot_be_judged_is_refused_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its neighbours of the same batch get their answers; the error's text is neither told nor logged."""
    judge = world.decisions._judge.judge

    def fails_on_two(active: Active, shim: ShimRow, question: Question) -> Judgement:
        if question.call_id == call_id(2):
            raise RuntimeError("with a secret")
        return judge(active, shim, question)

    monkeypatch.setattr(world.decisions._judge, "judge", fails_on_two)
    questions = [world.question(http(), number) for number in (1, 2, 3)]
    await world.decisions.batch(SHIM, questions, world.answers.append, world.held.append)
    told = {answer.call_id: answer for answer in world.answers}
    assert [told[call_id(number)].outcome for number in (1, 2, 3)] == [Outcome.ALLOW, Outcome.DENY, Outcome.ALLOW]
    assert told[call_id(2)].code == "service_unavailable"
    assert "secret" not in told[call_id(2)].reason + caplog.text


async def test_every_question_of_a_batch_gets_one_answer_and_shares_a_commit(world: World) -> None:
    """One append for all that need no human."""
    appends = 0

    async def count() -> None:
        nonlocal appends
        appends += 1

    world.log.meanwhile = [count] * 9
    questions = [world.question(http(path=f"/v1/{number}"), number) for number in range(1, 6)]
    await world.decisions.batch(SHIM, questions, world.answers.append, world.held.append)
    assert sorted(answer.call_id for answer in world.answers) == [call_id(number) for number in range(1, 6)]
    assert appends == 1


async def test_a_body_that_is_needed_is_asked_for_without_an_entry() -> None:
    """Nothing was decided yet."""
    world = await a_world(POLICY + "    when: request.json.amount > 100\n")
    answer = await world.ask(withheld(refund()))
    assert (answer.outcome, answer.need_body_max) == (Outcome.NEED_BODY, 1 << 20)
    assert world.log.events == []


async def test_a_change_between_judging_and_committing_is_honoured(world: World) -> None:
    """The allow of the older state is logged and never delivered; what leaves is the answer of the new state."""
    world.log.meanwhile = [lambda: world.elsewhere(NOTHING)]
    answer = await world.ask(http())
    assert (answer.outcome, answer.code, answer.epoch) == (Outcome.DENY, "no_rule", world.policies.value)
    assert [event.effect for event in world.log.events] == ["allow", "deny"]


async def test_a_revoked_shim_gets_no_allow_of_that_epoch_or_a_later_one(world: World) -> None:
    """Although the call had been authenticated before the revocation was committed."""
    world.log.meanwhile = [lambda: world.shims.revoke("one", 5)]
    answer = await world.ask(http())
    assert (answer.outcome, answer.code) == (Outcome.DENY, "shim_not_enrolled")
    assert (await world.ask(http(), 2)).outcome is Outcome.DENY


async def test_a_secret_that_was_replaced_meanwhile_is_not_sent(world: World) -> None:
    """The answer carries the new value."""
    new = "other" + "-key-9876543210"

    async def put() -> None:
        await world.keeping.put(
            ADMIN, name="billing-key", value=new.encode(), hosts=("billing.example",), use_policy_hosts=False
        )

    world.log.meanwhile = [put]
    answer = await world.ask(http())
    assert answer.credential is not None and answer.credential.value == b"key " + new.encode()


async def test_a_state_that_never_stands_still_allows_nothing(world: World) -> None:
    """After some attempts the question is refused."""
    world.log.meanwhile = [world.policies.bump_epoch] * (MAX_REJUDGED + 1)
    answer = await world.ask(http())
    assert (answer.outcome, answer.code) == (Outcome.DENY, "service_unavailable")
    assert (await world.ask(http(), 2)).outcome is Outcome.ALLOW


async def test_a_new_state_that_cannot_be_loaded_allows_nothing(world: World) -> None:
    """The older state's allow does not leave either."""

    async def move_and_fail() -> None:
        await world.elsewhere(NOTHING)
        world.policies.away = True

    world.log.meanwhile = [move_and_fail]
    assert (await world.ask(http())).code == "service_unavailable"
    world.policies.away = False
    assert (await world.ask(http(), 2)).code == "no_rule"


async def test_a_gated_action_is_pending_and_its_request_is_opened_once(world: World) -> None:
    """A shim that cannot hold is told at once, one that can is put on hold."""
    answer = await world.ask(refund())
    assert (answer.outcome, answer.code, answer.hold_ms) == (Outcome.PENDING, "approval_pending", 60_000)
    assert (answer.credential, answer.mask_key) == (None, b"")
    held = await world.hold(refund(), 2)
    assert held.approval == answer.approval == world.answers[0].approval
    assert [row.state for row in world.approvals.rows.values()] == [State.PENDING]
    assert world.last().effect == "pending"


async def test_only_a_shim_that_can_hold_is_put_on_hold(world: World) -> None:
    """Others get the pending answer alone, and none is held that never got it."""
    await world.decisions.batch(SHIM, [world.question(refund())], world.answers.append, world.held.append)
    assert world.held == [] and len(world.answers) == 1
    world.log.failing = 1
    asked = [world.question(refund(), 2, can_hold=True)]
    await world.decisions.batch(SHIM, asked, world.answers.append, world.held.append)
    assert world.held == [] and world.answers[-1].outcome is Outcome.DENY


async def test_an_approval_store_that_is_away_allows_nothing(world: World) -> None:
    """The refusal is logged; actions that need no human go on."""
    world.approvals.away = True
    questions = [world.question(refund(), 1), world.question(http(), 2)]
    await world.decisions.batch(SHIM, questions, world.answers.append, world.held.append)
    found = {answer.call_id: answer for answer in world.answers}
    assert found[call_id(1)].code == "service_unavailable"
    assert found[call_id(2)].outcome is Outcome.ALLOW
    assert {event.effect for event in world.log.events} == {"deny", "allow"}


async def test_too_many_pending_requests_are_refused() -> None:
    """The code tells it from a policy's denial, and the entry says which rule asked."""
    world = await a_world(max_pending=1)
    await world.ask(refund(1))
    answer = await world.ask(refund(2), 2)
    assert (answer.outcome, answer.code, answer.rule) == (Outcome.DENY, "approvals_exhausted", "refunds")
    assert world.last().effect == "deny"


async def test_the_same_call_gets_the_same_answer_and_spends_once(world: World) -> None:
    """Another call finds nothing left, and asks anew."""
    pending = await world.ask(refund())
    await world.review(pending.approval)
    first, again = await world.ask(refund(), 2), await world.ask(refund(), 2)
    assert first.outcome is again.outcome is Outcome.ALLOW
    assert first.approval == again.approval == pending.approval
    assert (await world.ask(refund(), 3)).outcome is Outcome.PENDING
    assert len(world.approvals.uses) == 1


async def test_a_use_is_logged_with_its_grant_and_approval(world: World) -> None:
    """So that the log tells who agreed to what was done."""
    pending = await world.ask(refund())
    approved = await world.review(pending.approval)
    await world.ask(refund(), 2)
    assert approved.grant is not None
    assert (world.last().effect, world.last().approval, world.last().grant) == (
        "allow",
        pending.approval,
        approved.grant.id,
    )


async def test_a_policy_that_denies_by_now_beats_the_grant(world: World) -> None:
    """A change between approval and use is honoured, and the grant stays unspent."""
    pending = await world.ask(refund())
    await world.review(pending.approval)
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    assert (await world.ask(refund(), 2)).outcome is Outcome.DENY
    assert world.approvals.uses == {}


async def test_a_grant_whose_use_cannot_be_logged_allows_nothing(world: World) -> None:
    """The call may be asked again with its own id and is then allowed by the same use."""
    pending = await world.ask(refund())
    await world.review(pending.approval)
    world.log.failing = 1
    assert (await world.ask(refund(), 2)).code == "service_unavailable"
    assert (await world.ask(refund(), 2)).outcome is Outcome.ALLOW
    assert len(world.approvals.uses) == 1


async def _resumed(world: World, held: Held, approval: ApprovalRequest) -> Answer:
    before = len(world.answers)
    await world.decisions.resume(held, approval)
    assert len(world.answers) == before + 1
    return world.answers[-1]


async def test_a_held_call_is_allowed_once_it_is_approved(world: World) -> None:
    """Its grant is spent for it, and it carries what an allow carries."""
    held = await world.hold(refund())
    approval = await world.review(held.approval)
    answer = await _resumed(world, held, approval)
    assert (answer.outcome, answer.call_id, answer.approval) == (Outcome.ALLOW, call_id(1), held.approval)
    assert answer.credential is not None
    assert world.last().grant


async def test_a_held_call_learns_what_the_reviewer_said(world: World) -> None:
    """A denial stands for the next call with the same action too."""
    held = await world.hold(refund())
    approval = await world.review(held.approval, approved=False, reason="not this one")
    answer = await _resumed(world, held, approval)
    assert (answer.outcome, answer.code, answer.approval) == (Outcome.DENY, "approval_denied", held.approval)
    assert "not this one" in answer.reason
    again = await world.ask(refund(), 2)
    assert (again.code, again.approval) == ("approval_denied", held.approval)


async def test_a_held_call_whose_request_expired_is_refused_as_expired(world: World) -> None:
    """Waiting never becomes a human's no: the code says so, and asking anew is possible."""
    held = await world.hold(refund())
    world.clock.now_ms += 600_000
    (approval,) = await world.approvals.expire(world.clock())
    answer = await _resumed(world, held, approval)
    assert (answer.outcome, answer.code) == (Outcome.DENY, "approval_expired")
    assert (await world.ask(refund(), 2)).outcome is Outcome.PENDING


async def test_a_held_call_is_judged_by_the_policy_of_then(world: World) -> None:
    """An approval does not carry a call past a rule that denies by now."""
    held = await world.hold(refund())
    approval = await world.review(held.approval)
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    answer = await _resumed(world, held, approval)
    assert (answer.outcome, answer.code) == (Outcome.DENY, "no_rule")
    assert world.approvals.uses == {}


async def test_a_held_call_whose_grant_another_one_spent_never_asks_anew(world: World) -> None:
    """It is refused: its agent is waiting for an answer, not for another person."""
    held = await world.hold(refund())
    approval = await world.review(held.approval)
    assert (await world.ask(refund(), 2)).outcome is Outcome.ALLOW
    answer = await _resumed(world, held, approval)
    assert (answer.outcome, answer.code) == (Outcome.DENY, "grant_spent")
    assert len(world.approvals.rows) == 1


async def test_a_resumption_that_cannot_be_logged_allows_nothing(world: World) -> None:
    """Neither an approval nor a denial leaves as such."""
    held = await world.hold(refund())
    approval = await world.review(held.approval)
    for final in (approval, replace(approval, state=State.DENIED)):
        world.log.failing = 1
        assert (await _resumed(world, held, final)).code == "service_unavailable"


async def test_a_change_while_a_held_call_resumes_is_honoured(world: World) -> None:
    """The epoch moves between its judgement and its commit: the allow does not leave."""
    held = await world.hold(refund())
    approval = await world.review(held.approval)
    world.log.meanwhile = [lambda: world.elsewhere(NOTHING)]
    assert (await _resumed(world, held, approval)).code == "no_rule"

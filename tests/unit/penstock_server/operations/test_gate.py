"""Tests of the gate: a grant is bound to one exact action and to who had to agree, and is spent once."""

from dataclasses import replace

import pytest

from penstock._core.describe import Action
from penstock_server.domain.approval import Person, Requirement, Review, State
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.operations.answers import Outcome
from penstock_server.operations.gate import Gate, binding_digest, person_of
from penstock_server.operations.judge import Judgement
from unit.penstock_server.operations.world import ADMIN, AGENT, POLICY, SECRET, SHIM, World, a_world, http, refund

pytestmark = pytest.mark.anyio

STRICTER = POLICY.replace("reviewers: [{group: finance}]", "reviewers: [{group: finance}], quorum: 2")


def _draft(world: World, action: Action, number: int = 1) -> Judgement:
    """Returns what the judge would let through if a human agreed."""
    drafted = world.judge.judge(world.active.current, SHIM, world.question(action, number))
    assert drafted.gated
    return drafted


async def _through(world: World, action: Action, number: int = 1) -> Judgement:
    return await world.gate.pass_or_ask(world.active.current, _draft(world, action, number))


async def _approved(world: World) -> str:
    """Opens and approves the request for the refund; returns its name."""
    pending = await _through(world, refund())
    await world.review(pending.answer.approval)
    return pending.answer.approval


async def test_a_request_holds_what_reviewers_need(world: World) -> None:
    """Who, what, why and until when; the terms are those of the rule."""
    passed = await _through(world, refund())
    new = world.approvals.rows[passed.answer.approval].new
    assert new.requester == Person(AGENT.issuer, "bot", "olga", "dora")
    assert (new.upstream, new.reason, new.groups) == ("billing", "refunds are looked at", ("agents",))
    assert (new.expires_at_ms - new.created_at_ms, new.grant_uses, new.grant_ttl_ms) == (600_000, 1, 300_000)
    assert new.requirements == (Requirement("refunds", (PrincipalMatch(group="finance"),), 1),)
    assert (passed.answer.expires_at_ms, passed.answer.hold_ms) == (new.expires_at_ms, 60_000)
    assert passed.answer.outcome is Outcome.PENDING and not passed.gated


async def test_a_pending_answer_gives_nothing_away(world: World) -> None:
    """Neither credential nor masks nor their key."""
    answer = (await _through(world, refund())).answer
    assert (answer.credential, answer.masks, answer.mask_key) == (None, (), b"")


async def test_what_a_reviewer_could_not_see_is_not_asked_about(world: World) -> None:
    """It is denied with a code of its own and a way out, and leaves no request."""
    large = b'{"amount": 5000, "x": "' + b"x" * 70_000 + b'"}'
    action = refund()
    action = Action(action.upstream, replace(action.http, body=large))
    passed = await _through(world, action)
    assert (passed.answer.outcome, passed.answer.code) == (Outcome.DENY, "approval_unshowable")
    assert "send less" in passed.answer.reason and world.approvals.rows == {}


async def test_an_approved_action_passes_once(world: World) -> None:
    """With the obligations of an allow; the next call asks again."""
    name = await _approved(world)
    passed = await _through(world, refund(), 2)
    assert (passed.answer.outcome, passed.answer.approval) == (Outcome.ALLOW, name)
    assert passed.answer.credential is not None and passed.event.grant
    assert (await _through(world, refund(), 3)).answer.outcome is Outcome.PENDING


@pytest.mark.parametrize(
    "other",
    [
        refund(251),
        refund(query="x=1"),
        refund(headers=(("content-type", b"application/json"), ("x-team", b"red"))),
        refund(upstream="plain"),
        http("POST", "/v1/refunds"),
    ],
)
async def test_a_grant_fits_no_other_action(world: World, other: Action) -> None:
    """What differs is asked for anew, and the grant stays unspent for what was approved."""
    await _approved(world)
    assert (await _through(world, other, 2)).answer.outcome is Outcome.PENDING
    assert world.approvals.uses == {}
    assert (await _through(world, refund(), 3)).answer.outcome is Outcome.ALLOW


@pytest.mark.parametrize("change", [{"subject": "bot2"}, {"owner": "zoe"}, {"delegator": ""}, {"issuer": "urn:x"}])
async def test_a_grant_fits_nobody_else(world: World, change: dict[str, str]) -> None:
    """Neither another agent nor the same one acting for another person."""
    await _approved(world)
    world.verifier.principals["bot"] = replace(AGENT, **change)  # type: ignore[arg-type] # fields of text
    assert (await _through(world, refund(), 2)).answer.outcome is Outcome.PENDING
    assert world.approvals.uses == {}


async def test_groups_and_sessions_are_not_bound(world: World) -> None:
    """They may change between approval and use."""
    await _approved(world)
    world.verifier.principals["bot"] = replace(AGENT, groups=frozenset({"agents", "more"}))
    draft = _draft(world, refund(), 2)
    draft = replace(draft, question=replace(draft.question, session="another"))
    assert (await world.gate.pass_or_ask(world.active.current, draft)).answer.outcome is Outcome.ALLOW


async def test_a_grant_ends(world: World) -> None:
    """Its window begins at the approval and is closed at its end; asking again extends nothing."""
    await _approved(world)
    world.clock.now_ms += 300_000
    assert (await _through(world, refund(), 2)).answer.outcome is Outcome.PENDING


async def test_a_policy_that_asks_for_more_leaves_the_grant_unspent(world: World) -> None:
    """Two people must agree now: what one agreed to does not pass."""
    await _approved(world)
    await world.policy.apply(ADMIN, STRICTER, dry_run=False)
    assert (await _through(world, refund(), 2)).answer.outcome is Outcome.PENDING
    assert world.approvals.uses == {}


async def test_several_rules_demand_the_strictest_terms() -> None:
    """Shortest times, fewest uses, everybody's agreement."""
    second = """\
  - name: a-second-look
    match: {http: {methods: [POST]}}
    effect: require_approval
    approval: {reviewers: [{group: legal}], pending_ttl: 1m, hold: 90s, grant: {uses: 3, ttl: 1h}}
"""
    world = await a_world(POLICY + second)
    passed = await _through(world, refund())
    new = world.approvals.rows[passed.answer.approval].new
    assert [requirement.rule for requirement in new.requirements] == ["a-second-look", "refunds"]
    assert (new.expires_at_ms - new.created_at_ms, new.grant_uses, new.grant_ttl_ms) == (60_000, 1, 300_000)
    assert passed.answer.hold_ms == 60_000
    assert (await world.review(passed.answer.approval)).state is State.PENDING
    legal = world.person("lea", "legal")
    after = await world.reviews.decide(legal, passed.answer.approval, approved=True, reason="")
    assert after.state is State.APPROVED


async def test_a_denial_stands_for_its_time(world: World) -> None:
    """The same action is refused at once for ten minutes, with what the reviewer said; then it may be asked again."""
    pending = await _through(world, refund())
    await world.review(pending.answer.approval, approved=False, reason="no")
    for later in (0, 599_999):
        world.clock.now_ms += later
        denied = await _through(world, refund(), 2)
        assert (denied.answer.outcome, denied.answer.code) == (Outcome.DENY, "approval_denied")
        assert denied.answer.reason.endswith(": no") and denied.event.effect == "deny"
    world.clock.now_ms += 1
    assert (await _through(world, refund(), 3)).answer.outcome is Outcome.PENDING


async def test_too_many_requests_are_refused() -> None:
    """Other principals are not concerned, and joining one's own pending request is no new one."""
    world = await a_world(max_pending=2)
    for amount in (1, 2):
        await _through(world, refund(amount), amount)
    with pytest.raises(PenstockError) as refused:
        await _through(world, refund(3), 3)
    assert refused.value.code is Code.EXHAUSTED
    assert (await _through(world, refund(1), 4)).answer.outcome is Outcome.PENDING
    world.verifier.principals["bot"] = replace(AGENT, subject="other")
    assert (await _through(world, refund(3), 5)).answer.outcome is Outcome.PENDING


async def test_a_call_that_may_not_ask_opens_no_request(world: World) -> None:
    """It passes on a grant or is refused."""
    draft = _draft(world, refund())
    draft = replace(draft, question=replace(draft.question, may_ask=False))
    denied = await world.gate.pass_or_ask(world.active.current, draft)
    assert (denied.answer.outcome, denied.answer.code) == (Outcome.DENY, "grant_spent")
    assert denied.answer.credential is None
    assert world.approvals.rows == {}


async def test_reviewers_see_the_action_without_secrets(world: World) -> None:
    """A stored secret that an agent sends shows as its token in path, query, header, body and session."""
    body = b'{"amount": 250, "note": "' + SECRET.encode() + b'"}'
    action = refund(query=f"k={SECRET}")
    headers = (("content-type", b"application/json"), ("x-note", SECRET.encode()))
    action = replace(action, http=replace(action.http, body=body, headers=headers))
    draft = _draft(world, action)
    draft = replace(draft, question=replace(draft.question, session=SECRET))
    passed = await world.gate.pass_or_ask(world.active.current, draft)
    new = world.approvals.rows[passed.answer.approval].new
    assert SECRET not in new.action_json + new.session + new.reason
    assert new.action_json.count("billing-key") == 3


async def test_a_refusal_says_why(world: World) -> None:
    """Denied with or without words, expired, cancelled; each names the request."""
    pending = await _through(world, refund())
    row = world.approvals.rows[pending.answer.approval]
    said = Review(Person(AGENT.issuer, "ann"), False, "not now", 1)
    for changed, code, text in (
        (replace(row, state=State.DENIED, reviews=(said,)), "approval_denied", "denied {}: not now"),
        (replace(row, state=State.DENIED, reviews=(replace(said, reason=""),)), "approval_denied", "denied {}"),
        (replace(row, state=State.EXPIRED), "approval_expired", "nobody decided on {} in time"),
        (replace(row, state=State.CANCELLED), "approval_denied", "{} was cancelled"),
    ):
        found, reason = Gate.refusal(changed)
        assert found == code and text.format(row.new.id) in reason


async def test_a_principal_is_the_person_of_its_token() -> None:
    """Without groups and session."""
    assert person_of(AGENT) == Person(AGENT.issuer, "bot", "olga", "dora")


async def test_what_had_to_be_agreed_to_is_part_of_the_digest() -> None:
    """Rule, quorum and each field of each reviewer; equal ones give equal digests."""
    base = Requirement("r", (PrincipalMatch(group="g"),), 1)
    others = [
        Requirement("s", base.reviewers, 1),
        Requirement("r", base.reviewers, 2),
        Requirement("r", (PrincipalMatch(subject="g"),), 1),
        Requirement("r", (PrincipalMatch(issuer="g"),), 1),
        Requirement("r", (PrincipalMatch(owner="g"),), 1),
        Requirement("r", (*base.reviewers, PrincipalMatch(group="h")), 1),
    ]
    action = bytes(range(32))
    digests = [binding_digest(action, (one,)) for one in (base, *others)]
    digests += [binding_digest(action, ()), binding_digest(action, (base, base)), binding_digest(bytes(32), (base,))]
    assert len(set(digests)) == len(digests)
    assert binding_digest(action, (replace(base),)) == digests[0] and len(digests[0]) == 32

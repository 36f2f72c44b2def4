"""Tests of approval storage: one exit, no lost quorum, no second use, on both databases."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from penstock_server.domain.approval import NewApproval, Person, Requirement, Review, State
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.operations.interfaces import ShimRow
from penstock_server.store import Store

pytestmark = pytest.mark.anyio

AGENT = Person("iss", "agent", "olga")
DIGEST = bytes(range(32))


def new(number: int = 1, *, quorum: int = 1, uses: int = 1, digest: bytes = DIGEST, at: int = 1000) -> NewApproval:
    """Returns a request that expires 600 s after `at`."""
    return NewApproval(
        id=f"apr_{number}",
        requester=AGENT,
        groups=("agents",),
        upstream="billing",
        digest=digest,
        action_json='{"a":1}',
        requirements=(Requirement("refunds", (PrincipalMatch(group="finance"),), quorum),),
        reason="why",
        session="s",
        call_id=f"call{number}",
        policy_revision=1,
        created_at_ms=at,
        expires_at_ms=at + 600_000,
        grant_uses=uses,
        grant_ttl_ms=300_000,
    )


def yes(who: str, at: int = 2000, *, approved: bool = True) -> Review:
    """Returns one person's review."""
    return Review(Person("iss", who), approved, "ok", at, ("refunds",))


async def _open(store: Store, request: NewApproval) -> tuple[str, bool]:
    opened, is_new = await store.approvals.open(request, max_pending=20, denial_stands_ms=600_000)
    return opened.new.id, is_new


async def test_a_request_comes_back_as_it_was_opened(store: Store) -> None:
    """And the same action asked again joins it."""
    assert await _open(store, new(1)) == ("apr_1", True)
    assert await _open(store, new(2)) == ("apr_1", False)
    found = await store.approvals.get("apr_1")
    assert found is not None
    assert (found.new, found.state, found.grant) == (new(1), State.PENDING, None)
    assert await store.approvals.get("apr_9") is None


async def test_agents_that_race_share_one_request(store: Store) -> None:
    """However many ask at once, one request is pending."""
    results = await asyncio.gather(*(_open(store, new(n)) for n in range(1, 9)))
    assert len({name for name, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1


async def test_an_overdue_request_is_not_joined(store: Store) -> None:
    """The old one is expired and a new one opened."""
    await _open(store, new(1))
    assert await _open(store, new(2, at=601_000)) == ("apr_2", True)
    old = await store.approvals.get("apr_1")
    assert old is not None and old.state is State.EXPIRED


async def test_a_denial_stands_for_its_time(store: Store) -> None:
    """Then the same action may be asked for again."""
    await _open(store, new(1))
    await store.approvals.review("apr_1", yes("bob", 2000, approved=False), grant_id="g1")
    assert await _open(store, new(2, at=300_000)) == ("apr_1", False)
    assert await _open(store, new(3, at=602_001)) == ("apr_3", True)


async def test_too_many_pending_requests_are_refused(store: Store) -> None:
    """The refusal says when to come back."""
    await store.approvals.open(new(1), max_pending=1, denial_stands_ms=0)
    with pytest.raises(PenstockError) as refused:
        await store.approvals.open(new(2, digest=bytes(32)), max_pending=1, denial_stands_ms=0)
    assert refused.value.reason == "TOO_MANY_PENDING"
    assert refused.value.retry_after_ms


async def test_one_call_id_cannot_ask_for_two_actions(store: Store) -> None:
    """The idempotency key is bound to its content, also once its request is over."""
    await _open(store, new(1))
    for at in (1000, 2_000_000):
        with pytest.raises(PenstockError) as refused:
            await _open(store, replace(new(2, digest=bytes(32), at=at), call_id="call1"))
        assert refused.value.reason == "CALL_REUSED"
        await store.approvals.expire(1_000_000)


async def test_a_call_asks_anew_once_its_request_has_expired(store: Store) -> None:
    """Of the same action; the expired request stays expired."""
    await _open(store, new(1))
    assert await _open(store, replace(new(2, at=700_000), call_id="call1")) == ("apr_2", True)
    assert await _open(store, replace(new(3, at=700_001), call_id="call1")) == ("apr_2", False)
    first, second = await store.approvals.get("apr_1"), await store.approvals.get("apr_2")
    assert first is not None and second is not None
    assert (first.state, second.state) == (State.EXPIRED, State.PENDING)


async def test_approval_creates_the_grant_whose_window_begins_then(store: Store) -> None:
    """Approving again has no effect, above all no later end."""
    await _open(store, new(1))
    after, effect = await store.approvals.review("apr_1", yes("bob", 5000), grant_id="g1")
    assert effect and after.state is State.APPROVED and after.grant is not None
    assert (after.grant.start_at_ms, after.grant.end_at_ms, after.grant.uses_left) == (5000, 305_000, 1)
    again, effect = await store.approvals.review("apr_1", yes("bob", 9000), grant_id="g2")
    assert not effect and again.grant == after.grant
    with pytest.raises(PenstockError) as refused:
        await store.approvals.review("apr_1", yes("eve", 9000), grant_id="g3")
    assert refused.value.reason == "APPROVAL_NOT_PENDING"


async def test_reviewers_that_race_neither_lose_nor_overshoot_the_quorum(store: Store) -> None:
    """Two of four needed: exactly one grant, whatever the order."""
    await _open(store, new(1, quorum=2))
    results = await asyncio.gather(
        *(store.approvals.review("apr_1", yes(f"r{n}"), grant_id=f"g{n}") for n in range(4)), return_exceptions=True
    )
    found = await store.approvals.get("apr_1")
    assert found is not None and found.state is State.APPROVED
    assert len(found.reviews) == 2
    assert sum(isinstance(result, PenstockError) for result in results) == 2


async def test_one_person_counts_once(store: Store) -> None:
    """Saying yes twice is not a quorum of two; saying no after yes is refused."""
    await _open(store, new(1, quorum=2))
    await store.approvals.review("apr_1", yes("bob"), grant_id="g1")
    same, effect = await store.approvals.review("apr_1", yes("bob"), grant_id="g2")
    assert not effect and same.state is State.PENDING
    with pytest.raises(PenstockError) as refused:
        await store.approvals.review("apr_1", yes("bob", approved=False), grant_id="g3")
    assert refused.value.reason == "REVIEW_STANDS"


async def test_a_no_beats_an_earlier_yes(store: Store) -> None:
    """And is final."""
    await _open(store, new(1, quorum=2))
    await store.approvals.review("apr_1", yes("bob"), grant_id="g1")
    after, _ = await store.approvals.review("apr_1", yes("eve", approved=False), grant_id="g2")
    assert after.state is State.DENIED and after.grant is None


async def test_nothing_takes_effect_at_the_deadline(store: Store) -> None:
    """A yes that comes late expires the request although no sweeper ran."""
    await _open(store, new(1))
    with pytest.raises(PenstockError, match="expired"):
        await store.approvals.review("apr_1", yes("bob", 601_000), grant_id="g1")
    found = await store.approvals.get("apr_1")
    assert found is not None and found.state is State.EXPIRED and found.grant is None


async def test_expiry_and_cancellation_are_final_exits(store: Store) -> None:
    """Each happens once."""
    await _open(store, new(1))
    await _open(store, new(2, digest=bytes(32), at=5000))
    assert [r.new.id for r in await store.approvals.expire(601_000)] == ["apr_1"]
    assert await store.approvals.expire(601_000) == []
    cancelled = await store.approvals.cancel("apr_2", actor=AGENT, at_ms=6000)
    assert cancelled.state is State.CANCELLED
    with pytest.raises(PenstockError):
        await store.approvals.cancel("apr_2", actor=AGENT, at_ms=6001)
    with pytest.raises(PenstockError) as refused:
        await store.approvals.cancel("apr_9", actor=AGENT, at_ms=1)
    assert refused.value.reason == "APPROVAL_NOT_FOUND"


async def _granted(store: Store, *, uses: int = 1) -> None:
    await _open(store, new(1, uses=uses))
    await store.approvals.review("apr_1", yes("bob", 5000), grant_id="g1")


async def test_a_one_shot_grant_is_spent_once_by_many_racers(store: Store) -> None:
    """The same call id gets the same answer."""
    await _granted(store)
    results = await asyncio.gather(
        *(store.approvals.redeem(requester=AGENT, digest=DIGEST, call_id=f"c{n}", now_ms=6000) for n in range(12))
    )
    winners = [n for n, result in enumerate(results) if result.grant_id]
    assert len(winners) == 1
    again = await store.approvals.redeem(requester=AGENT, digest=DIGEST, call_id=f"c{winners[0]}", now_ms=6001)
    assert (again.grant_id, again.request_id) == ("g1", "apr_1")


async def test_a_call_that_races_with_itself_spends_once(store: Store) -> None:
    """Two uses are left two: one for the call, one more."""
    await _granted(store, uses=2)
    results = await asyncio.gather(
        *(store.approvals.redeem(requester=AGENT, digest=DIGEST, call_id="same", now_ms=6000) for _ in range(6))
    )
    assert all(result.grant_id == "g1" for result in results)
    found = await store.approvals.get("apr_1")
    assert found is not None and found.grant is not None and found.grant.uses_left == 1


@pytest.mark.parametrize(
    ("digest", "requester", "now"),
    [
        (bytes(32), AGENT, 6000),
        (DIGEST, Person("iss", "other"), 6000),
        (DIGEST, Person("other", "agent"), 6000),
        (DIGEST, AGENT, 4999),
        (DIGEST, AGENT, 305_000),
    ],
)
async def test_a_grant_fits_one_action_requester_and_time(
    store: Store, digest: bytes, requester: Person, now: int
) -> None:
    """What does not fit is refused and leaves the grant unspent, also if the clock went backwards."""
    await _granted(store)
    refused = await store.approvals.redeem(requester=requester, digest=digest, call_id="c", now_ms=now)
    assert (refused.grant_id, refused.request_id) == (None, None)
    kept = await store.approvals.redeem(requester=AGENT, digest=DIGEST, call_id="d", now_ms=6000)
    assert kept.grant_id == "g1"


async def test_pages_go_from_new_to_old_without_gap(store: Store) -> None:
    """The cursor is the last row of the former page."""
    for n in range(1, 6):
        await _open(store, new(n, digest=bytes([n]) * 32, at=1000 + n // 2))
    first = await store.approvals.page(state=State.PENDING, limit=3, before=None)
    last = first[-1].new
    rest = await store.approvals.page(state=State.PENDING, limit=3, before=(last.created_at_ms, last.id))
    assert [r.new.id for r in [*first, *rest]] == ["apr_5", "apr_4", "apr_3", "apr_2", "apr_1"]
    assert await store.approvals.page(state=State.DENIED, limit=3, before=None) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET state = 'maybe'",
        "UPDATE approval_request SET state = 'approved'",
        "UPDATE approval_request SET resolved_at_ms = 1",
        "INSERT INTO access_grant VALUES"
        " ('g', 'apr_1', 'approved', 'iss', 'agent', (SELECT digest FROM approval_request), 1, 1, 2, NULL)",
        "INSERT INTO access_grant VALUES"
        " ('g', 'apr_1', 'pending', 'iss', 'agent', (SELECT digest FROM approval_request), 1, 1, 2, NULL)",
        "INSERT INTO request_event VALUES ('apr_1', 1, 'denied', 'approved', 'i', 's', 1)",
        "INSERT INTO approval_review VALUES ('apr_1', 'iss', 'agent', 'iss', 'agent', 'olga', '', true, '', '[]', 1)",
        "INSERT INTO approval_review VALUES ('apr_1', 'iss', 'olga', 'iss', 'agent', 'olga', '', true, '', '[]', 1)",
        "INSERT INTO approval_review VALUES ('apr_1', 'iss', 'bob', 'iss', 'forged', 'olga', '', true, '', '[]', 1)",
        "INSERT INTO approval_review VALUES ('apr_1', 'iss', 'olga', 'iss', 'agent', 'other', '', true, '', '[]', 1)",
        "INSERT INTO grant_use VALUES ('nope', 'c', 'claimed', 1, NULL)",
    ],
)
async def test_the_database_itself_refuses_what_is_not_legal(store: Store, statement: str) -> None:
    """Constraints hold also against a program that goes around the code."""
    await _open(store, new(1))
    with pytest.raises(IntegrityError):
        async with store._database.write() as connection:
            await connection.execute(text(statement))


async def test_a_delegator_reviews_nothing_even_by_hand(store: Store) -> None:
    """Nor can the row of a review, or of a grant, name another requester or action than its request has."""
    request = replace(new(1), requester=replace(AGENT, delegator="dora"))
    await _open(store, request)
    review = (
        "INSERT INTO approval_review VALUES ('apr_1', 'iss', '{}', 'iss', 'agent', 'olga', '{}', true, '', '[]', 1)"
    )
    statements = [review.format("dora", "dora"), review.format("dora", "")]
    await store.approvals.review("apr_1", yes("ann"), grant_id="grt_1")
    grant = "UPDATE access_grant SET {}"
    statements += [grant.format("requester_subject = 'x'"), grant.format("requester_issuer = 'x'")]
    statements.append(grant.format("digest = (SELECT token_hash FROM shim)"))
    await store.shims.add(ShimRow("one", bytes(32), (), (), 1))
    for statement in statements:
        with pytest.raises(IntegrityError):
            async with store._database.write() as connection:
                await connection.execute(text(statement))


async def test_a_state_is_left_once_even_by_hand(store: Store) -> None:
    """And uses never go below zero."""
    await _granted(store)
    for statement in (
        "INSERT INTO request_event VALUES ('apr_1', 2, 'pending', 'denied', 'i', 's', 1)",
        "UPDATE access_grant SET uses_left = -1",
        "INSERT INTO grant_use VALUES ('g1', 'c', 'succeeded', 1, NULL)",
        "INSERT INTO grant_use VALUES ('g1', 'c', 'maybe', 1, 2)",
        "UPDATE access_grant SET end_at_ms = start_at_ms + 2592000001",
    ):
        with pytest.raises(IntegrityError):
            async with store._database.write() as connection:
                await connection.execute(text(statement))

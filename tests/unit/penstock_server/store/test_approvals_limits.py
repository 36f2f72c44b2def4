"""Tests of limits of approval storage that hold under races, late retries and clocks that jump."""

import asyncio

import pytest
from sqlalchemy import text

from penstock_server.domain.approval import State
from penstock_server.domain.errors import PenstockError
from penstock_server.store import Store
from unit.penstock_server.store.test_approvals import AGENT, DIGEST, new, yes

pytestmark = pytest.mark.anyio


async def test_racing_requests_do_not_overshoot_the_limit(store: Store) -> None:
    """However many different actions are asked for at once, at most max_pending wait."""
    asked = [new(number, digest=bytes([number]) * 32) for number in range(1, 13)]
    results = await asyncio.gather(
        *(store.approvals.open(one, max_pending=3, denial_stands_ms=0) for one in asked), return_exceptions=True
    )
    assert sum(isinstance(result, PenstockError) for result in results) == 9
    assert len(await store.approvals.page(state=State.PENDING, limit=20, before=None)) == 3


async def test_overdue_requests_do_not_count_against_the_limit(store: Store) -> None:
    """Although no sweeper has expired them."""
    await store.approvals.open(new(1), max_pending=1, denial_stands_ms=0)
    _, is_new = await store.approvals.open(new(2, digest=bytes(32), at=601_000), max_pending=1, denial_stands_ms=0)
    assert is_new


async def _redeem(store: Store, call_id: str, now_ms: int) -> str | None:
    return (await store.approvals.redeem(requester=AGENT, digest=DIGEST, call_id=call_id, now_ms=now_ms)).grant_id


async def _granted(store: Store) -> None:
    await store.approvals.open(new(1), max_pending=20, denial_stands_ms=0)
    await store.approvals.review("apr_1", yes("bob", 5000), grant_id="g1")


async def test_a_use_is_not_repeated_after_the_grants_end(store: Store) -> None:
    """The same call gets the same answer within the window, and no allow at its end, before its start or after."""
    await _granted(store)
    assert await _redeem(store, "c", 6000) == "g1"
    assert await _redeem(store, "c", 304_999) == "g1"
    assert await _redeem(store, "c", 305_000) is None
    assert await _redeem(store, "c", 4999) is None


async def test_a_use_is_not_repeated_after_a_revocation(store: Store) -> None:
    """Nothing that asks after the revocation has committed is allowed by it."""
    await _granted(store)
    assert await _redeem(store, "c", 6000) == "g1"
    async with store._database.write() as connection:
        await connection.execute(text("UPDATE access_grant SET revoked_at_ms = 6500"))
    assert await _redeem(store, "c", 7000) is None
    assert await _redeem(store, "d", 7000) is None


async def test_a_refused_redemption_leaves_no_use(store: Store) -> None:
    """What was refused before the window may be used within it, with the same call id."""
    await _granted(store)
    assert await _redeem(store, "c", 4999) is None
    async with store._database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM grant_use"))).scalar_one() == 0
    assert await _redeem(store, "c", 5000) == "g1"


async def test_a_pending_request_keeps_its_terms(store: Store) -> None:
    """Asking again never extends the deadline or the grant."""
    await store.approvals.open(new(1), max_pending=20, denial_stands_ms=0)
    joined, is_new = await store.approvals.open(new(2, uses=9, at=300_000), max_pending=20, denial_stands_ms=0)
    assert not is_new
    assert (joined.new.expires_at_ms, joined.new.grant_uses) == (601_000, 1)


async def test_approvals_and_denials_that_race_end_in_one_state(store: Store) -> None:
    """The events replay to the row: exactly one exit, and a grant exactly if it was the approval."""
    for number in range(1, 7):
        request = new(number, digest=bytes([number]) * 32)
        await store.approvals.open(request, max_pending=20, denial_stands_ms=0)
        await asyncio.gather(
            store.approvals.review(request.id, yes("bob"), grant_id=f"g{number}"),
            store.approvals.review(request.id, yes("eve", approved=False), grant_id=f"h{number}"),
            store.approvals.cancel(request.id, actor=AGENT, at_ms=2000),
            return_exceptions=True,
        )
        found = await store.approvals.get(request.id)
        assert found is not None and found.state is not State.PENDING
        assert (found.grant is not None) == (found.state is State.APPROVED)
        query = text("SELECT next FROM request_event WHERE request_id = :name")
        async with store._database.read() as connection:
            events = list((await connection.execute(query, {"name": request.id})).scalars())
        assert events == [found.state.value]

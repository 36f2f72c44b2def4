"""Approval storage against its model: any schedule has the same history in memory, on SQLite and on PostgreSQL.

The model is the fake that the tests of operations use, so that it is held to what the databases do. On the way: a
request leaves pending once, nothing takes effect at or after its deadline, no call extends a grant, and a grant is
used at most as often as it may be, also if the clock jumps back.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Requirement, Review, State
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.operations.interfaces import ApprovalStore
from penstock_server.store import Store
from unit.penstock_server.operations.fakes import MemoryApprovals

pytestmark = pytest.mark.anyio

PENDING_MS, GRANT_MS, DENIAL_MS = 100, 50, 60
START = 1_900_000_000_000

USUAL = bytes(32)
DIGESTS = st.sampled_from([*[USUAL] * 5, b"\x01" * 32])
WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
REVIEW = st.tuples(st.just("review"), WHICH, st.sampled_from(["ann", "bob"]), st.sampled_from([*[True] * 6, False]))
REDEEM = st.tuples(st.just("redeem"), DIGESTS, st.sampled_from([0, 0, 1, 2]))
TICK = st.tuples(st.just("tick"), st.sampled_from([*[1] * 12, 20, 49, 50, 60, 100, -30]))
OPEN = st.tuples(st.just("open"), DIGESTS, st.sampled_from([1, 1, 2]), st.integers(1, 2))
CANCEL = st.tuples(st.just("cancel"), WHICH)
RARE = CANCEL | st.tuples(st.just("expire")) | TICK
STEPS = st.one_of(*[OPEN] * 3, *[REVIEW] * 5, *[REDEEM] * 7, *[TICK] * 4, RARE)
"""Steps, weighted so that most schedules reach a grant and use it more than once."""


class History:
    """Plays a schedule on one store and notes what came of each step; names are numbered, so that histories compare."""

    def __init__(self, store: ApprovalStore) -> None:
        self.store = store
        self.requester = Person("iss", f"bot-{uuid.uuid4().hex}", "olga")
        self.names: list[str] = []
        self.now = START
        self.calls = 0

    async def play(self, step: tuple[Any, ...]) -> Any:
        """Returns what came of one step: a value that compares, or the reason of a refusal."""
        kind, *rest = step
        act: Callable[..., Awaitable[Any]] = getattr(self, kind)
        try:
            return await act(*rest)
        except PenstockError as error:
            return error.reason

    async def open(self, digest: bytes, quorum: int, uses: int) -> Any:
        self.calls += 1
        name = f"{self.requester.subject}-{self.calls}"
        new = NewApproval(
            id=name,
            requester=self.requester,
            groups=(),
            upstream="u",
            digest=digest,
            action_json="{}",
            requirements=(Requirement("r", (PrincipalMatch(group="g"),), quorum),),
            reason="",
            session="",
            call_id=f"o{self.calls}",
            policy_revision=1,
            created_at_ms=self.now,
            expires_at_ms=self.now + PENDING_MS,
            grant_uses=uses,
            grant_ttl_ms=GRANT_MS,
        )
        opened, is_new = await self.store.open(new, max_pending=2, denial_stands_ms=DENIAL_MS)
        if is_new:
            self.names.append(opened.new.id)
        return self._plain(opened), is_new

    async def review(self, index: int, who: str, approved: bool) -> Any:
        name = self.names[index] if index < len(self.names) else "nothing"
        review = Review(Person("iss", who), approved, "", self.now, ("r",))
        after, effect = await self.store.review(name, review, grant_id=f"g-{name}")
        return self._plain(after), effect

    async def cancel(self, index: int) -> Any:
        name = self.names[index] if index < len(self.names) else "nothing"
        return self._plain(await self.store.cancel(name, actor=self.requester, at_ms=self.now))

    async def expire(self) -> Any:
        return sorted(self._plain(row) for row in await self.store.expire(self.now) if row.new.id in self.names)

    async def redeem(self, digest: bytes, call: int) -> Any:
        found = await self.store.redeem(
            requester=self.requester, digest=digest, call_id=f"{self.requester.subject}-c{call}", now_ms=self.now
        )
        return self._number(found.request_id)

    async def tick(self, by: int) -> None:
        self.now += by

    async def rows(self) -> list[ApprovalRequest]:
        """Returns all requests as they are."""
        return [row for name in self.names if (row := await self.store.get(name)) is not None]

    def _number(self, name: str | None) -> int | None:
        return self.names.index(name) if name in self.names else None

    def _plain(self, row: ApprovalRequest) -> tuple[Any, ...]:
        grant = row.grant and (row.grant.uses_left, row.grant.start_at_ms, row.grant.end_at_ms)
        reviews = sorted((review.reviewer.subject, review.approved, review.at_ms) for review in row.reviews)
        return (self._number(row.new.id) or 0, row.state.value, row.resolved_at_ms or 0, tuple(reviews), grant or ())


def check(before: list[ApprovalRequest], after: list[ApprovalRequest]) -> None:
    """Asserts what holds between any two moments."""
    for was, now in zip(before, after, strict=False):
        assert was.state in (State.PENDING, now.state), "left pending twice"
        assert set(was.reviews) <= set(now.reviews), "a review was lost or changed"
        if was.grant is not None:
            assert now.grant is not None
            assert now.grant.uses_left <= was.grant.uses_left
            assert replace(now.grant, uses_left=0) == replace(was.grant, uses_left=0), "a grant was changed"
    for row in after:
        assert (row.grant is not None) == (row.state is State.APPROVED)
        assert (row.resolved_at_ms is None) == (row.state is State.PENDING)
        if row.state in (State.APPROVED, State.DENIED):
            assert row.resolved_at_ms is not None and row.resolved_at_ms < row.new.expires_at_ms
        if row.state is State.APPROVED:
            assert len({review.reviewer for review in row.reviews if review.approved}) >= row.new.requirements[0].quorum
            assert all(review.approved for review in row.reviews)


@given(schedule=st.lists(STEPS, min_size=30, max_size=50))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_every_schedule_has_the_history_of_the_model(store: Store, schedule: list[tuple[Any, ...]]) -> None:
    """Step by step the same answers, in the end the same rows; the invariants hold after every step."""
    model, real = History(MemoryApprovals()), History(store.approvals)
    rows: list[ApprovalRequest] = []
    for step in schedule:
        came, expected = await real.play(step), await model.play(step)
        assert came == expected, step
        found = await real.rows()
        check(rows, found)
        rows = found
    assert [real._plain(row) for row in rows] == [model._plain(row) for row in await model.rows()]
    for row in rows:
        if row.grant is not None:
            left = row.new.grant_uses - row.grant.uses_left
            calls = await _uses(store, row.grant.id)
            assert calls == left <= row.new.grant_uses


async def _uses(store: Store, grant: str) -> int:
    async with store._database.read() as connection:
        found = await connection.execute(text("SELECT count(*) FROM grant_use WHERE grant_id = :g"), {"g": grant})
        return int(found.scalar_one())

"""Tests of approvals as rows: every field comes back, and names are answered in their order."""

from dataclasses import replace

import pytest

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Requirement, Review, State
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.store import Store
from penstock_server.store.approval_rows import grant_row, insert_request, read_request, read_requests

pytestmark = pytest.mark.anyio

NEW = NewApproval(
    id="apr_1",
    requester=Person("iss", "bot", "olga", "dora"),
    groups=("agents", "Gruppe ü"),
    upstream="billing",
    digest=bytes(range(32)),
    action_json='{"path":"/é"}',
    requirements=(
        Requirement("a-rule", (PrincipalMatch(group="finance"), PrincipalMatch(subject="ann", issuer="i")), 2),
        Requirement("b-rule", (PrincipalMatch(owner="olga"),), 1),
    ),
    reason="because",
    session="s1",
    call_id="c1",
    policy_revision=4,
    created_at_ms=1_900_000_000_000,
    expires_at_ms=1_900_000_600_000,
    grant_uses=3,
    grant_ttl_ms=5000,
)


async def test_a_request_with_two_rules_comes_back_whole(store: Store) -> None:
    """Requirements keep every field of their reviewers; times over 32 bits survive."""
    async with store._database.write() as connection:
        await insert_request(connection, NEW)
        assert await read_request(connection, "apr_1") == ApprovalRequest(NEW, State.PENDING)


async def test_a_request_without_requirements_is_stored_too(store: Store) -> None:
    """It can only expire."""
    bare = replace(NEW, requirements=())
    async with store._database.write() as connection:
        await insert_request(connection, bare)
        found = await read_request(connection, "apr_1")
    assert found is not None and found.new == bare


async def test_names_are_answered_in_their_order_and_unknown_ones_left_out(store: Store) -> None:
    """No name, no row; no query either."""
    async with store._database.write() as connection:
        for number in (1, 2, 3):
            await insert_request(
                connection, replace(NEW, id=f"apr_{number}", call_id=f"c{number}", digest=bytes([number]) * 32)
            )
        names = ["apr_3", "apr_9", "apr_1"]
        assert [found.new.id for found in await read_requests(connection, names)] == ["apr_3", "apr_1"]
        assert await read_requests(connection, []) == []
        assert await read_request(connection, "apr_9") is None


async def test_reviews_and_grant_belong_to_their_own_request(store: Store) -> None:
    """Two requests that are read together do not mix, and reviews come in the order in which they were said."""
    for number in (1, 2):
        new = replace(NEW, id=f"apr_{number}", call_id=f"c{number}", digest=bytes([number]) * 32)
        await store.approvals.open(new, max_pending=9, denial_stands_ms=0)
    said = [
        Review(Person("iss", "zoe"), True, "first", 1_900_000_000_001, ("a-rule", "b-rule")),
        Review(Person("iss", "ann"), True, "second", 1_900_000_000_002, ("a-rule",)),
    ]
    for review in said:
        await store.approvals.review("apr_1", review, grant_id="grt_1")
    async with store._database.read() as connection:
        one, two = await read_requests(connection, ["apr_1", "apr_2"])
    assert (one.state, one.reviews, one.resolved_at_ms) == (State.APPROVED, tuple(said), 1_900_000_000_002)
    assert one.grant is not None and (one.grant.id, one.grant.request_id) == ("grt_1", "apr_1")
    assert (two.state, two.reviews, two.grant) == (State.PENDING, (), None)


async def test_the_window_of_a_grant_begins_at_the_approval() -> None:
    """Not at the request's creation and not at the first use."""
    row = grant_row(ApprovalRequest(NEW, State.APPROVED), "grt_1", 7000)
    assert (row["start_at_ms"], row["end_at_ms"], row["uses_left"]) == (7000, 12_000, 3)
    assert (row["digest"], row["requester_subject"], row["revoked_at_ms"]) == (NEW.digest, "bot", None)

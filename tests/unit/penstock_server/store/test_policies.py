"""Tests of policy revisions: immutable, numbered, one active, each change an epoch."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from penstock_server.domain.errors import PenstockError
from penstock_server.operations.interfaces import RevisionRow, RuleRow
from penstock_server.store import Store
from penstock_server.store.policies import bump_epoch

pytestmark = pytest.mark.anyio

RULE = RuleRow(
    name="reads",
    effect="allow",
    upstreams='["billing"]',
    methods='["GET"]',
    paths="[]",
    principals="[]",
    condition="",
    mode="enforce",
    definition="{}",
)


async def _add(store: Store, document: str, *, expected: int, rules: tuple[RuleRow, ...] = ()) -> RevisionRow:
    row, _ = await store.policies.add(
        document=document, rules=rules, digest=bytes(32), author="ann", at_ms=5, expected_active=expected
    )
    return row


async def test_before_the_first_document_nothing_is_active(store: Store) -> None:
    """There is an epoch all the same."""
    row, epoch = await store.policies.active()
    assert row is None and epoch == await store.policies.epoch() > 0
    assert await store.policies.revisions(before=0, limit=10) == []


async def test_a_revision_becomes_active_and_bumps_the_epoch(store: Store) -> None:
    """In one transaction; what is read back is what was stored."""
    epoch = await store.policies.epoch()
    row, bumped = await store.policies.add(
        document="rules: []  # é", rules=[RULE], digest=bytes(range(32)), author="ann", at_ms=5, expected_active=0
    )
    assert bumped == epoch + 1
    assert row == RevisionRow(1, "rules: []  # é", bytes(range(32)), "ann", 5, active=True)
    assert await store.policies.active() == (row, bumped)
    assert await store.policies.revision(1) == row
    assert await store.policies.revision(2) is None


async def test_revisions_are_listed_newest_first_and_one_is_active(store: Store) -> None:
    """Pages go on below the former one's last."""
    for number in range(1, 5):
        await _add(store, f"# {number}", expected=number - 1)
    first = await store.policies.revisions(before=0, limit=3)
    rest = await store.policies.revisions(before=first[-1].number, limit=3)
    assert [row.number for row in [*first, *rest]] == [4, 3, 2, 1]
    assert [row.number for row in [*first, *rest] if row.active] == [4]
    old = await store.policies.revision(2)
    assert old is not None and (old.document, old.active) == ("# 2", False)


async def test_rules_are_rows_with_their_selectors(store: Store) -> None:
    """So that people can ask the database who may do what."""
    await _add(store, "x", expected=0, rules=(RULE, replace(RULE, name="never", effect="deny", mode="shadow")))
    query = text("SELECT name, effect, methods, mode FROM policy_rule WHERE revision = 1 ORDER BY name")
    async with store._database.read() as connection:
        rows = [tuple(row) for row in (await connection.execute(query)).all()]
    assert rows == [("never", "deny", '["GET"]', "shadow"), ("reads", "allow", '["GET"]', "enforce")]


async def test_a_change_that_came_between_is_a_conflict(store: Store) -> None:
    """Nothing of the refused one stays: no revision, no rule, no epoch."""
    await _add(store, "one", expected=0)
    epoch = await store.policies.epoch()
    for expected in (0, 2):
        with pytest.raises(PenstockError) as refused:
            await _add(store, "two", expected=expected, rules=(RULE,))
        assert refused.value.reason == "POLICY_CHANGED"
    assert await store.policies.epoch() == epoch
    assert [row.number for row in await store.policies.revisions(before=0, limit=9)] == [1]


async def test_of_many_that_apply_at_once_one_wins(store: Store) -> None:
    """The others learn of it."""
    results = await asyncio.gather(
        *(_add(store, f"# {number}", expected=0) for number in range(6)), return_exceptions=True
    )
    won = [result for result in results if isinstance(result, RevisionRow)]
    assert [row.number for row in won] == [1]
    assert sum(isinstance(result, PenstockError) for result in results) == 5


async def test_a_rule_that_the_database_refuses_stores_nothing(store: Store) -> None:
    """All or nothing: neither the revision nor the active pointer moves."""
    with pytest.raises(IntegrityError):
        await _add(store, "x", expected=0, rules=(RULE, replace(RULE, name="odd", effect="maybe")))
    assert (await store.policies.active())[0] is None
    assert await store.policies.revisions(before=0, limit=9) == []


async def bump(store: Store) -> int:
    """Bumps the epoch, as whatever makes an earlier allow wrong does; returns it."""
    async with store._database.write() as connection:
        return await bump_epoch(connection)


async def test_every_bump_is_one_more(store: Store) -> None:
    """However many bump at once."""
    before = await store.policies.epoch()
    bumped = await asyncio.gather(*(bump(store) for _ in range(10)))
    assert sorted(bumped) == list(range(before + 1, before + 11))

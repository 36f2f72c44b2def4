"""Tests of applying policies: all or nothing, a dry run changes nothing, and every change can be undone."""

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.answers import Outcome
from penstock_server.operations.interfaces import RevisionRow
from penstock_server.operations.policies import MAX_DOCUMENT_BYTES
from unit.penstock_server.operations.world import ADMIN, NOTHING, POLICY, World, a_world, http

pytestmark = pytest.mark.anyio

BROKEN = POLICY.replace("effect: deny", "effect: destroy")


async def test_a_document_becomes_active_at_once(world: World) -> None:
    """The next decision is made by it, and the log tells who changed what."""
    applied = await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    assert applied.revision == 2 and applied.changes
    answer = await world.ask(http())
    assert (answer.outcome, answer.policy_revision) == (Outcome.DENY, 2)
    done = next(event for event in world.log.events if event.kind == "policy.applied")
    assert (done.actor, done.details["revision"]) == (ADMIN, 2)
    assert done.details["changes"] == list(applied.changes)


async def test_a_dry_run_shows_and_changes_nothing(world: World) -> None:
    """Neither revision nor epoch nor log."""
    epoch = world.policies.value
    applied = await world.policy.apply(ADMIN, NOTHING, dry_run=True)
    assert applied.revision == 1 and applied.changes
    assert (len(world.policies.rows), world.policies.value, world.log.events) == (1, epoch, [])
    assert (await world.ask(http())).outcome is Outcome.ALLOW


@pytest.mark.parametrize("dry_run", [False, True])
async def test_one_wrong_rule_refuses_the_whole_document(world: World, dry_run: bool) -> None:
    """The problems are named and nothing of the document is active."""
    with pytest.raises(PenstockError) as refused:
        await world.policy.apply(ADMIN, BROKEN + "  - name: also-wrong\n", dry_run=dry_run)
    assert refused.value.code is Code.INVALID and len(refused.value.problems) >= 2
    assert len(world.policies.rows) == 1 and world.log.events == []
    assert (await world.ask(http())).policy_revision == 1


async def test_the_same_document_again_makes_no_revision(world: World) -> None:
    """And does not move the epoch, which would make every shim ask again."""
    epoch = world.policies.value
    applied = await world.policy.apply(ADMIN, POLICY, dry_run=False)
    assert (applied.revision, applied.changes, world.policies.value) == (1, (), epoch)


async def test_rules_are_stored_as_rows(world: World) -> None:
    """One a rule."""
    assert {row.name for row in world.policies.rules[1]} == {"reads", "masks", "no-deletes", "refunds"}


async def test_a_change_that_came_between_is_a_conflict(world: World) -> None:
    """Nothing is overwritten unseen; the log keeps the attempt."""

    def eve_is_faster() -> None:
        world.policies.rows = [RevisionRow(2, NOTHING, bytes(32), "eve", 1, active=True)]

    world.policies.meanwhile = eve_is_faster
    with pytest.raises(PenstockError) as refused:
        await world.policy.apply(ADMIN, NOTHING + "# mine\n", dry_run=False)
    assert refused.value.code is Code.CONFLICT
    assert world.log.kinds() == ["policy.apply", "policy.apply.failed"]


async def test_nothing_is_applied_without_a_log(world: World) -> None:
    """The entry comes first."""
    world.log.failing = 1
    with pytest.raises(PenstockError):
        await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    assert len(world.policies.rows) == 1


async def test_a_rollback_is_a_new_revision_with_the_old_document(world: World) -> None:
    """So that the history tells of both."""
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    back = await world.policy.rollback(ADMIN, 1)
    assert back.revision == 3 and back.changes
    assert (await world.policy.show(0)).document == POLICY
    assert [row.number for row in await world.policy.revisions(before=0, limit=9)] == [3, 2, 1]
    assert [row.number for row in await world.policy.revisions(before=3, limit=1)] == [2]
    assert (await world.ask(http())).outcome is Outcome.ALLOW
    assert "policy.rolled_back" in world.log.kinds()


async def test_what_is_not_there_is_not_found(world: World) -> None:
    """Neither shown nor rolled back to; before the first document there is none at all."""
    for attempt in (world.policy.show(9), world.policy.rollback(ADMIN, 9), (await a_world("")).policy.show(0)):
        with pytest.raises(PenstockError) as refused:
            await attempt
        assert refused.value.reason == "REVISION_NOT_FOUND"


async def test_a_document_has_a_largest_size(world: World) -> None:
    """Counted in bytes, before it is parsed."""
    with pytest.raises(PenstockError) as refused:
        await world.policy.apply(ADMIN, "é" * (MAX_DOCUMENT_BYTES // 2 + 1), dry_run=True)
    assert refused.value.reason == "POLICY_TOO_LARGE"


async def test_warnings_come_back(world: World) -> None:
    """The linter's remarks reach whoever applies."""
    odd = POLICY + "    when: '!has(request.json.amount)'\n"
    applied = await world.policy.apply(ADMIN, odd, dry_run=True)
    assert any("refunds" in warning for warning in applied.warnings)

"""Tests of the active state: swapped whole, never older than asked for, and everybody who listens is told."""

import asyncio
from dataclasses import replace

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from unit.penstock_server.operations.world import NOTHING, SECRET, World, compiler

pytestmark = pytest.mark.anyio


async def test_before_the_first_load_nothing_is_allowed(world: World) -> None:
    """The state of a process that has just started has no upstream, no secret, and an epoch before every other."""
    fresh = ActiveState(world.policies, world.secrets, world.shims, world.vault, compiler)
    assert (fresh.current.snapshot.revision, fresh.current.snapshot.epoch, fresh.current.secrets) == (0, 0, {})
    assert fresh.current.snapshot.upstream("billing") is None


async def test_a_load_takes_policy_secrets_and_revocations_together(world: World) -> None:
    """As of the epoch that was read first."""
    await world.elsewhere(NOTHING)
    await world.shims.revoke("one", 5)
    state = await world.active.reload()
    assert (state.snapshot.revision, state.snapshot.epoch) == (2, world.policies.value)
    assert state.secrets["billing-key"].value == SECRET.encode()
    assert state.revoked == {"one"}
    assert state is world.active.current


async def test_a_state_that_is_new_enough_is_not_loaded_again(world: World) -> None:
    """Many decisions that find the epoch moved load once."""
    epoch = await world.policies.bump_epoch()
    states = await asyncio.gather(*(world.active.reload(epoch) for _ in range(5)))
    assert all(state is states[0] for state in states)
    assert await world.active.reload() is not states[0]


async def test_a_state_that_cannot_be_read_leaves_the_former_one(world: World) -> None:
    """And its epoch with it, so that nothing of the older state passes the check of the epoch."""
    before = world.active.current
    await world.elsewhere(NOTHING)
    world.policies.away = True
    with pytest.raises(PenstockError) as refused:
        await world.active.reload(world.policies.value)
    assert refused.value.code is Code.UNAVAILABLE
    assert world.active.current is before


async def test_a_secret_that_does_not_open_stops_only_what_uses_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are in use, its name is logged, once, and its next version is in use again."""
    other = world.vault.seal(name="other", version=1, hosts=("h",), value=b"other-value", now_ms=1)
    await world.secrets.put(other)
    world.secrets.rows["billing-key"] = replace(world.secrets.rows["billing-key"], hosts=("evil.example",))
    for _ in range(2):
        state = await world.active.reload()
        assert (state.secrets.keys(), state.unreadable) == ({"other"}, {"billing-key"})
    (line,) = caplog.messages
    assert "secret billing-key v1 cannot be opened" in line and SECRET not in line
    row = world.vault.seal(name="billing-key", version=2, hosts=("h",), value=SECRET.encode(), now_ms=1)
    state = await world.active.reload(await world.secrets.put(row))
    assert (state.secrets.keys(), state.unreadable) == ({"other", "billing-key"}, frozenset())


async def test_the_former_version_of_a_secret_is_masked_and_not_given_out(world: World) -> None:
    """Also where the newest one does not open."""
    row = world.vault.seal(name="billing-key", version=2, hosts=("h",), value=b"new-value-777", now_ms=1)
    await world.secrets.put(row)
    state = await world.active.reload()
    assert state.secrets["billing-key"].value == b"new-value-777"
    assert state.former["billing-key"].value == SECRET.encode()
    for value in (SECRET, "new-value-777"):
        assert value not in state.redactor.text(f"/v1/{value}/x", bytes(32))
    world.secrets.rows["billing-key"] = replace(row, wrapped_key=bytes(60))
    state = await world.active.reload()
    assert "billing-key" not in state.secrets and "billing-key" in state.unreadable
    assert SECRET not in state.redactor.text(f"/v1/{SECRET}/x", bytes(32))


async def test_listeners_are_told_after_the_swap_until_they_stop(world: World) -> None:
    """Each sees the new state; one that stops while others are told is not called again."""
    seen: list[int] = []

    async def note() -> None:
        seen.append(world.active.current.snapshot.epoch)
        stop()

    stop = world.active.listen(note)
    epoch = await world.policies.bump_epoch()
    await world.active.reload(epoch)
    await world.active.reload()
    assert seen == [epoch]

"""Tests of what a shim is told of its upstreams."""

import asyncio

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import ShimRow
from penstock_server.rpc.shim_config import ShimConfigs
from unit.penstock_server.operations.fakes import MemoryShims
from unit.penstock_server.operations.world import ADMIN, NOTHING, POLICY, SECRET, SHIM, World, a_world

pytestmark = pytest.mark.anyio


async def test_a_shim_for_everything_is_told_of_every_upstream(world: World) -> None:
    """With the secret of each, to be masked, and the epoch."""
    response = await ShimConfigs(world.active, world.shims).for_shim(SHIM.token_hash)
    config = response.config
    assert (config.policy_revision, response.epoch) == (1, world.policies.value)
    found = {upstream.name: upstream for upstream in config.upstreams}
    assert found.keys() == {"billing", "plain"}
    billing = found["billing"]
    assert (billing.url, billing.mount, billing.dialect) == ("https://billing.example/base", "/billing", "problem")
    assert list(billing.token_from) == ["authorization"] and not billing.private_addresses
    assert [(one.name, one.value) for one in billing.known_values] == [("billing-key", SECRET.encode())]
    assert list(found["plain"].known_values) == []


async def test_a_shim_is_told_by_what_hosts_an_upstream_is_found() -> None:
    """As the policy names them."""
    plain = 'plain: {url: "https://plain.example"'
    world = await a_world(POLICY.replace(plain, f'{plain}, hosts: ["p.internal", "p:80"]'))
    config = (await ShimConfigs(world.active, world.shims).for_shim(SHIM.token_hash)).config
    assert [list(upstream.hosts) for upstream in config.upstreams] == [[], ["p.internal", "p:80"]]


async def test_the_version_before_a_rotation_is_masked_too(world: World) -> None:
    """It may be valid for a while; the one before that is forgotten."""
    for value in ("second" + "-value-22222", "third" + "-value-333333"):
        await world.keeping.put(
            ADMIN, name="billing-key", value=value.encode(), hosts=("billing.example",), use_policy_hosts=False
        )
    config = (await ShimConfigs(world.active, world.shims).for_shim(SHIM.token_hash)).config
    (billing,) = (upstream for upstream in config.upstreams if upstream.name == "billing")
    assert [(one.name, one.value) for one in billing.known_values] == [
        ("billing-key", b"third" + b"-value-333333"),
        ("billing-key", b"second" + b"-value-22222"),
    ]


async def test_a_shim_gets_no_secret_of_an_upstream_that_it_does_not_serve(world: World) -> None:
    """Nor does it learn that the upstream exists."""
    row, _ = await world.enrolment.enrol(ADMIN, "two", ("plain",), ("*",))
    response = await ShimConfigs(world.active, world.shims).for_shim(row.token_hash)
    assert [upstream.name for upstream in response.config.upstreams] == ["plain"]
    assert SECRET.encode() not in response.SerializeToString()


async def test_who_is_not_enrolled_any_more_gets_nothing(world: World) -> None:
    """Revoked or unknown."""
    await world.enrolment.revoke(ADMIN, "one")
    for token_hash in (SHIM.token_hash, b"\x01" * 32):
        with pytest.raises(PenstockError) as refused:
            await ShimConfigs(world.active, world.shims).for_shim(token_hash)
        assert (refused.value.code, refused.value.reason) == (Code.UNAUTHENTICATED, "SHIM_REVOKED")


async def test_an_answer_that_waited_for_the_database_is_of_the_newest_state(world: World) -> None:
    """Two are under way when the policy changes: the one that ends last is not the older one."""

    class SlowShims(MemoryShims):
        gate = asyncio.Event()

        async def by_token_hash(self, token_hash: bytes) -> ShimRow | None:
            await self.gate.wait()
            return await super().by_token_hash(token_hash)

    slow = SlowShims(world.policies, world.shims.rows)
    asked = asyncio.create_task(ShimConfigs(world.active, slow).for_shim(SHIM.token_hash))
    await asyncio.sleep(0)
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    slow.gate.set()
    assert (await asked).config.policy_revision == 2


async def test_whoever_listens_is_told_of_changes(world: World) -> None:
    """Until they stop."""
    told = 0

    async def note() -> None:
        nonlocal told
        told += 1

    stop = ShimConfigs(world.active, world.shims).listen(note)
    await world.policy.apply(ADMIN, NOTHING, dry_run=False)
    stop()
    await world.policy.rollback(ADMIN, 1)
    assert told == 1

"""Tests of enrolment: a credential is shown once, known by its hash, and refused from its revocation on."""

import json
from dataclasses import asdict

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.answers import Outcome
from penstock_server.operations.enrolment import TOKEN_PREFIX
from unit.penstock_server.operations.world import ADMIN, World, http

pytestmark = pytest.mark.anyio


async def test_a_shim_is_known_by_the_credential_that_was_shown_once(world: World) -> None:
    """What is stored is its hash; the log tells who enrolled it for what."""
    row, token = await world.enrolment.enrol(ADMIN, "two", ("billing",), ("agents",))
    assert token.startswith(TOKEN_PREFIX) and len(token) > 40
    assert await world.enrolment.authenticate(token) == row
    assert token not in repr(world.shims.rows) and token.encode() not in row.token_hash
    assert world.log.kinds() == ["shim.enrol", "shim.enrolled"]
    assert world.last().actor == ADMIN
    assert world.last().details["upstreams"] == ["billing"]
    assert token not in json.dumps([asdict(event) for event in world.log.events], default=str)


async def test_two_enrolments_get_two_credentials(world: World) -> None:
    """They are random."""
    tokens = {(await world.enrolment.enrol(ADMIN, f"s{number}", ("*",), ("*",)))[1] for number in range(5)}
    assert len(tokens) == 5


@pytest.mark.parametrize("wrong", ["", "psh_", "psh_nobody", "PSH_x", "bot", "ey.j.x"])
async def test_what_is_not_a_credential_is_refused(world: World, wrong: str) -> None:
    """An agent's or a person's token is none, and the refusal does not repeat it."""
    with pytest.raises(PenstockError) as refused:
        await world.enrolment.authenticate(wrong)
    assert (refused.value.code, refused.value.reason) == (Code.UNAUTHENTICATED, "SHIM_UNKNOWN")
    assert len(wrong) < 5 or wrong not in refused.value.message


async def test_a_revoked_shim_is_refused_everywhere(world: World) -> None:
    """Its credential opens nothing, its questions on an open stream are denied, and the epoch has moved."""
    row, token = await world.enrolment.enrol(ADMIN, "two", ("*",), ("*",))
    assert (await world.ask(http(), 1, shim=row)).outcome is Outcome.ALLOW
    epoch = world.policies.value
    revoked = await world.enrolment.revoke(ADMIN, "two")
    assert revoked.revoked_at_ms == world.clock() and world.policies.value > epoch
    with pytest.raises(PenstockError):
        await world.enrolment.authenticate(token)
    assert (await world.ask(http(), 2, shim=row)).code == "shim_not_enrolled"
    assert world.active.current.snapshot.epoch == world.policies.value


async def test_a_shim_is_never_asked_for_what_it_was_not_enrolled_for(world: World) -> None:
    """Neither for another upstream nor for an agent outside its groups."""
    row, _ = await world.enrolment.enrol(ADMIN, "two", ("plain",), ("agents",))
    other, _ = await world.enrolment.enrol(ADMIN, "three", ("*",), ("robots",))
    assert (await world.ask(http(upstream="plain"), 1, shim=row)).outcome is Outcome.ALLOW
    assert (await world.ask(http(), 2, shim=row)).code == "shim_not_enrolled"
    assert (await world.ask(http(), 3, shim=other)).code == "shim_not_enrolled"


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "a/b", "é", "a" * 64, "a\n"])
async def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    """Nothing is stored and nothing logged."""
    with pytest.raises(PenstockError) as refused:
        await world.enrolment.enrol(ADMIN, name, ("*",), ("*",))
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "SHIM_NAME")
    assert world.log.events == []


@pytest.mark.parametrize(
    ("upstreams", "groups"),
    [((), ("*",)), (("*",), ()), (("",), ("*",)), (("*", "billing"), ("*",)), (("*",), ("agents", "*"))],
)
async def test_a_scope_is_named_or_everything(
    world: World, upstreams: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """Never empty by accident, and "*" stands alone."""
    with pytest.raises(PenstockError) as refused:
        await world.enrolment.enrol(ADMIN, "two", upstreams, groups)
    assert refused.value.reason == "SHIM_SCOPE"


async def test_a_name_is_given_once(world: World) -> None:
    """The attempt is in the log, as failed."""
    with pytest.raises(PenstockError) as refused:
        await world.enrolment.enrol(ADMIN, "one", ("*",), ("*",))
    assert refused.value.code is Code.CONFLICT
    assert world.log.kinds() == ["shim.enrol", "shim.enrol.failed"]


async def test_nobody_is_enrolled_or_revoked_without_a_log(world: World) -> None:
    """The entry comes first."""
    world.log.failing = 2
    for attempt in (world.enrolment.enrol(ADMIN, "two", ("*",), ("*",)), world.enrolment.revoke(ADMIN, "one")):
        with pytest.raises(PenstockError):
            await attempt
    assert [row.name for row in await world.enrolment.listed()] == ["one"]
    assert world.shims.rows["one"].revoked_at_ms is None


async def test_an_unknown_shim_is_not_revoked(world: World) -> None:
    """The refusal is the store's."""
    with pytest.raises(PenstockError) as refused:
        await world.enrolment.revoke(ADMIN, "two")
    assert refused.value.code is Code.NOT_FOUND
    assert world.log.kinds()[-1] == "shim.revoke.failed"

"""Tests of secrets: they go in, and nothing gives them out; their hosts are bound to them."""

import json
from dataclasses import asdict

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.answers import Outcome
from penstock_server.operations.interfaces import SecretRow
from penstock_server.operations.secret_keeping import MAX_BYTES, MIN_BYTES
from unit.penstock_server.operations.world import ADMIN, POLICY, World, a_world, http

pytestmark = pytest.mark.anyio

VALUE = "fresh" + "-value-55555"


async def _put(
    world: World, *, value: str = VALUE, name: str = "billing-key", hosts: tuple[str, ...] = ()
) -> SecretRow:
    return await world.keeping.put(
        ADMIN, name=name, value=value.encode("latin-1"), hosts=hosts or ("billing.example",), use_policy_hosts=False
    )


async def test_a_secret_goes_in_and_is_in_nothing_that_comes_out(world: World) -> None:
    """Not in the row, not in the list, not in the log, not in a repr."""
    row = await _put(world)
    everything = repr((row, await world.keeping.listed(), world.active.current)) + json.dumps(
        [asdict(event) for event in world.log.events], default=str
    )
    assert VALUE not in everything
    assert VALUE.encode() not in row.ciphertext + row.wrapped_key
    assert (row.version, row.hosts) == (2, ("billing.example",))
    assert world.log.kinds() == ["secret.put", "secret.stored"]


async def test_a_new_version_is_in_use_at_once(world: World) -> None:
    """The next answer carries it."""
    await _put(world)
    answer = await world.ask(http())
    assert answer.credential is not None and answer.credential.value == b"key " + VALUE.encode()


async def test_a_secret_for_other_hosts_refuses_the_credential(world: World) -> None:
    """A policy author cannot point it elsewhere: the request is denied, not sent without."""
    for hosts in (("other.example",), ("billing.example:8443",), ("example",), ("xbilling.example",)):
        await _put(world, hosts=hosts)
        answer = await world.ask(http())
        assert (answer.outcome, answer.code, answer.credential) == (Outcome.DENY, "secret_host_refused", None)


async def test_hosts_are_written_in_lower_case_and_once(world: World) -> None:
    """So that they compare with what is forwarded."""
    row = await _put(world, hosts=("Billing.Example", "billing.example", "[::1]:8080", "b:80"))
    assert row.hosts == ("billing.example", "[::1]:8080", "b:80")


@pytest.mark.parametrize("host", ["*", "*.example", "https://a.example", "a.example/x", "a b", "", "a:", "-a", "a\n"])
async def test_a_host_that_is_none_is_refused(world: World, host: str) -> None:
    """There are no patterns: each host is named."""
    with pytest.raises(PenstockError) as refused:
        await _put(world, hosts=("billing.example", host))
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "SECRET_HOSTS")
    assert world.log.events == []


async def test_a_secret_without_hosts_is_refused(world: World) -> None:
    """Also where the caller asks for the policy's: that is for development alone."""
    for use_policy_hosts in (False, True):
        with pytest.raises(PenstockError) as refused:
            await world.keeping.put(
                ADMIN, name="billing-key", value=VALUE.encode(), hosts=(), use_policy_hosts=use_policy_hosts
            )
        assert refused.value.reason == "SECRET_HOSTS"


async def test_in_development_the_policy_may_say_the_hosts() -> None:
    """Those of every upstream that uses the secret; without one, or with hosts given, it says nothing."""
    world = await a_world(POLICY, hosts_from_policy=True)

    async def put(name: str, *hosts: str) -> tuple[str, ...]:
        row = await world.keeping.put(ADMIN, name=name, value=VALUE.encode(), hosts=hosts, use_policy_hosts=True)
        return row.hosts

    assert await put("billing-key") == ("billing.example",)
    assert await put("billing-key", "other.example") == ("other.example",)
    with pytest.raises(PenstockError, match="no upstream of the active policy uses secret nobody"):
        await put("nobody")


@pytest.mark.parametrize("value", ["", "a" * (MIN_BYTES - 1), "a" * (MAX_BYTES + 1)])
async def test_a_secret_that_cannot_be_masked_is_refused(world: World, value: str) -> None:
    """One that is too short would hide half of every text."""
    with pytest.raises(PenstockError) as refused:
        await _put(world, value=value)
    assert refused.value.reason == "SECRET_SIZE"


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x7f", "\t"])
async def test_a_secret_never_breaks_a_header(world: World, character: str) -> None:
    """Line ends and control characters are refused, and the refusal does not repeat the value."""
    with pytest.raises(PenstockError) as refused:
        await _put(world, value=VALUE + character)
    assert refused.value.reason == "SECRET_VALUE"
    assert VALUE not in refused.value.message


async def test_bytes_beyond_ascii_are_sent_as_they_are(world: World) -> None:
    """A header's value is bytes."""
    await _put(world, value="ünïcode-ÿ-12345")
    answer = await world.ask(http())
    assert answer.credential is not None and answer.credential.value == b"key " + "ünïcode-ÿ-12345".encode("latin-1")


@pytest.mark.parametrize("name", ["", "A", "a b", "é", "a" * 64, "a\n"])
async def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    """As for shims."""
    with pytest.raises(PenstockError) as refused:
        await _put(world, name=name)
    assert refused.value.reason == "SECRET_NAME"


async def test_nothing_is_stored_without_a_log(world: World) -> None:
    """The former value stays in use."""
    world.log.failing = 1
    with pytest.raises(PenstockError):
        await _put(world)
    assert world.secrets.rows["billing-key"].version == 1

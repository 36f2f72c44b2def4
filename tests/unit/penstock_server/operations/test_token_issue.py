"""Tests of issuing tokens."""

import json
from dataclasses import asdict

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.identity import DevIssuer, Verifier
from penstock_server.operations.token_issue import DEFAULT_TTL_S, MAX_NAME, MAX_TTL_S
from unit.penstock_server.operations.world import ADMIN, World

pytestmark = pytest.mark.anyio

VERIFIER = Verifier(DevIssuer(bytes(range(32))).key)


async def test_a_token_says_who_and_for_how_long(world: World) -> None:
    """The verifier accepts it until its end and not at its end."""
    token, ends = await world.tokens.issue(ADMIN, subject="bot", groups=("agents",), owner="olga", ttl_s=60)
    assert ends == world.clock() + 60_000
    principal = VERIFIER.verify(token, ends - 1)
    assert (principal.subject, principal.groups, principal.owner) == ("bot", {"agents"}, "olga")
    with pytest.raises(PenstockError):
        VERIFIER.verify(token, ends)


async def test_the_log_tells_of_a_token_without_its_text(world: World) -> None:
    """For whom, by whom, for how long."""
    token, _ = await world.tokens.issue(ADMIN, subject="bot", groups=("agents",), owner="", ttl_s=0)
    assert world.log.kinds() == ["token.issue", "token.issued"]
    assert world.last().details["ttl_s"] == DEFAULT_TTL_S
    logged = json.dumps([asdict(event) for event in world.log.events], default=str)
    assert not any(part in logged for part in token.split("."))


async def test_no_token_leaves_without_a_log(world: World) -> None:
    """Neither if the intent cannot be written nor if the outcome cannot."""
    for working in (0, 1):
        world.log.meanwhile = [_nothing] * working + [_fails(world)]
        with pytest.raises(PenstockError):
            await world.tokens.issue(ADMIN, subject="bot", groups=(), owner="", ttl_s=60)


async def _nothing() -> None:
    pass


def _fails(world: World) -> object:
    async def fail() -> None:
        world.log.failing = 1

    return fail


@pytest.mark.parametrize(
    ("subject", "groups", "owner"),
    [
        ("", (), ""),
        ("a" * (MAX_NAME + 1), (), ""),
        ("a", ("",), ""),
        ("a", ("g" * (MAX_NAME + 1),), ""),
        ("a", (), "o" * (MAX_NAME + 1)),
        ("a\0", (), ""),
        ("a", ("g\n",), ""),
        ("a", (), "\x1b[2J"),
    ],
)
async def test_names_are_printable_and_of_bounded_length(
    world: World, subject: str, groups: tuple[str, ...], owner: str
) -> None:
    """A database and a terminal can show each of them."""
    with pytest.raises(PenstockError) as refused:
        await world.tokens.issue(ADMIN, subject=subject, groups=groups, owner=owner, ttl_s=60)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "TOKEN_NAMES")


async def test_a_token_has_a_longest_life(world: World) -> None:
    """One second more is refused."""
    await world.tokens.issue(ADMIN, subject="a", groups=(), owner="", ttl_s=MAX_TTL_S)
    with pytest.raises(PenstockError) as refused:
        await world.tokens.issue(ADMIN, subject="a", groups=(), owner="", ttl_s=MAX_TTL_S + 1)
    assert refused.value.reason == "TOKEN_TTL"

"""Gives the tests of the gRPC edge a world of fakes, callers with one role each, and a server over them."""

import pytest

from penstock_server.domain.principal import Principal
from penstock_server.identity import DEV_ISSUER
from unit.penstock_server.operations.world import ADMIN, FOREVER, World, a_world
from unit.penstock_server.rpc.memory_server import MemoryServer, served


@pytest.fixture
async def world() -> World:
    """Returns a world whose callers are: root, bot, ann (approver), sam (secrets), aud (auditor), and shim "two"."""
    world = await a_world()
    world.person("ann", "finance")
    world.person("sam", "secrets")
    world.person("aud", "auditors")
    return world


@pytest.fixture
async def shim(world: World) -> str:
    """Enrols shim "two" for everything; returns its credential."""
    _, token = await world.enrolment.enrol(ADMIN, "two", ("*",), ("*",))
    world.log.events.clear()
    return token


@pytest.fixture
def server(world: World) -> MemoryServer:
    """Returns a server over the world."""
    return served(world)


@pytest.fixture
def owned(world: World) -> Principal:
    """Returns an agent that somebody put into every powerful group; its token is "owned"."""
    groups = frozenset({"agents", "approvers", "finance", "admins", "secrets", "auditors"})
    world.verifier.principals["owned"] = Principal(DEV_ISSUER, "owned", groups, expires_at_ms=FOREVER)
    return world.verifier.principals["owned"]

"""Gives the tests of operations a world of fakes."""

import pytest

from unit.penstock_server.operations.world import World, a_world


@pytest.fixture
async def world() -> World:
    """Returns a world with the test policy active."""
    return await a_world()

"""Tests of AuditService."""

import pytest

from penstock.v1 import audit_pb2
from unit.penstock_server.operations.world import ADMIN, World
from unit.penstock_server.rpc.memory_server import MemoryServer

pytestmark = pytest.mark.anyio


async def _write(world: World, count: int) -> None:
    for number in range(1, count + 1):
        await world.journal.write(world.journal.event("a" if number % 2 else "b", ADMIN, call_id=str(number)))


async def _list(server: MemoryServer, **fields: object) -> tuple[list[int], bool]:
    request = audit_pb2.ListEntriesRequest(**fields)  # type: ignore[arg-type] # the names are the fields'
    answer = await server.call("AuditService/ListEntries", request, "aud")
    return [entry.seq for entry in answer.entries], answer.more


async def test_entries_are_listed_in_pages(server: MemoryServer, world: World) -> None:
    """Ascending, and each page says whether there is more."""
    await _write(world, 5)
    assert await _list(server) == ([1, 2, 3, 4, 5], False)
    assert await _list(server, page_size=2) == ([1, 2], True)
    assert await _list(server, page_size=2, after=3) == ([4, 5], False)
    assert await _list(server, kind="b") == ([2, 4], False)
    assert await _list(server, call_id="3") == ([3], False)


async def test_the_newest_entries_are_listed(server: MemoryServer, world: World) -> None:
    """The last ones, ascending too; more says that there are older ones."""
    await _write(world, 5)
    assert await _list(server, newest=True, page_size=2) == ([4, 5], True)
    assert await _list(server, newest=True, page_size=5) == ([1, 2, 3, 4, 5], False)


async def test_a_number_beyond_every_entry_has_none_after_it(server: MemoryServer, world: World) -> None:
    """Also one that no database can hold."""
    await _write(world, 1)
    assert await _list(server, after=2**64 - 1) == ([], False)


async def test_a_tail_gives_what_is_there_and_what_comes(server: MemoryServer, world: World) -> None:
    """From a number on, without gap or repetition."""
    await _write(world, 3)
    call = await server.stream("AuditService/TailEntries", "aud", audit_pb2.TailEntriesRequest(after=1))
    assert [(await call.read()).entry.seq for _ in range(2)] == [2, 3]
    await _write(world, 2)
    assert [(await call.read()).entry.seq for _ in range(2)] == [4, 5]
    await call.hang_up()

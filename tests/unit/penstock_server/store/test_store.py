"""Tests of opening and closing all stores."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store import open_store
from penstock_server.store.engine import Database
from unit.penstock_server.store.test_group_commit import event
from unit.penstock_server.store.test_policies import bump

pytestmark = pytest.mark.anyio


async def test_all_stores_share_one_database(database_url: str) -> None:
    """An epoch that one bumps is seen by the log's next commit."""
    store = await open_store(database_url)
    bumped = await bump(store)
    assert (await store.audit.append(event(1))).epoch == bumped
    await store.close()


async def test_a_database_of_another_schema_is_refused(database_url: str) -> None:
    """The service never migrates by itself; the refusal says who does."""
    database = Database(database_url)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    await database.close()
    with pytest.raises(PenstockError, match="penstock-server migrate") as refused:
        await open_store(database_url)
    assert (refused.value.code, refused.value.reason) == (Code.WRONG_STATE, "SCHEMA_OLD")


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """And a SQLite file is not made on the way."""
    path = tmp_path / "p.db"
    with pytest.raises(PenstockError) as refused:
        await open_store(f"sqlite+aiosqlite:///{path}")
    assert refused.value.code is Code.UNAVAILABLE
    assert not path.exists()


async def test_what_was_queued_is_written_before_the_end(database_url: str) -> None:
    """Closing waits for appends that were under way; a later one is refused."""
    store = await open_store(database_url)
    under_way = [asyncio.create_task(store.audit.append(event(number))) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert sorted(position.seq for position in await asyncio.gather(*under_way)) == list(range(1, 21))
    with pytest.raises(PenstockError):
        await store.audit.append(event(21))


async def test_two_logs_in_one_database_are_numbered_apart(database_url: str) -> None:
    """Each service node has its own gapless sequence."""
    one, two = await open_store(database_url, "one"), await open_store(database_url, "two")
    assert [(await log.audit.append(event(1))).seq for log in (one, two, one)] == [1, 1, 2]
    assert [entry.seq for entry in await one.audit.entries()] == [1, 2]
    assert [entry.seq for entry in await two.audit.entries()] == [1]
    await one.close()
    await two.close()

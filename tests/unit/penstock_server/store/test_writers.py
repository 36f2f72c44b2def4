"""Tests of the writers on real databases."""

import asyncio
from pathlib import Path

import pytest

from penstock_server.domain.errors import PenstockError
from penstock_server.store import migrate
from penstock_server.store.engine import Database, is_sqlite
from penstock_server.store.group_commit import EMPTY_LOG, GroupCommit, Writer
from penstock_server.store.writers import PostgresWriter, SqliteWriter
from unit.penstock_server.store.test_group_commit import event

pytestmark = pytest.mark.anyio


async def test_the_end_of_the_log_survives_a_restart(database_url: str) -> None:
    """A second writer goes on where the first one stopped."""
    database = Database(database_url)

    def writer() -> Writer:
        return SqliteWriter(database_url) if is_sqlite(database_url) else PostgresWriter(database)

    first = writer()
    assert await first.end("main") == EMPTY_LOG
    commit = GroupCommit(first, "main")
    for number in range(3):
        await commit.append([event(number)])
    await commit.close()
    second = writer()
    end = await second.end("main")
    assert end.seq == 3
    assert await second.end("other") == EMPTY_LOG
    commit = GroupCommit(second, "main")
    assert (await commit.append([event(4)]))[0].seq == 4
    await commit.close()
    await database.close()


async def test_two_processes_on_one_log_cannot_fork_it(database_url: str) -> None:
    """The second is refused once, reads the end anew, and goes on."""
    database = Database(database_url)

    def commit() -> GroupCommit:
        return GroupCommit(SqliteWriter(database_url) if is_sqlite(database_url) else PostgresWriter(database), "main")

    one, two = commit(), commit()
    await one.append([event(1)])
    await two.append([event(2)])
    with pytest.raises(PenstockError):
        await one.append([event(3)])
    assert (await one.append([event(4)]))[0].seq == 3
    await one.close()
    await two.close()
    await database.close()


async def test_a_lost_database_file_is_unavailable_and_its_return_is_enough(tmp_path: Path) -> None:
    """No restart is needed, and the message names no path."""
    path = tmp_path / "penstock.db"
    writer = SqliteWriter(f"sqlite+aiosqlite:///{path}")
    commit = GroupCommit(writer, "main")
    with pytest.raises(PenstockError, match="nothing is allowed") as refused:
        await commit.append([event(1)])
    assert str(tmp_path) not in str(refused.value)
    await asyncio.to_thread(migrate, f"sqlite+aiosqlite:///{path}")
    assert (await commit.append([event(1)]))[0].seq == 1
    await commit.close()

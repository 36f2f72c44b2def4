"""Tests of the writers on real databases."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from penstock_server.domain.errors import PenstockError
from penstock_server.store import migrate
from penstock_server.store.engine import Database, is_sqlite
from penstock_server.store.group_commit import EMPTY_LOG, Batch, BatchRow, GroupCommit, Writer
from penstock_server.store.policies import bump_epoch
from penstock_server.store.writers import PostgresWriter, SqliteWriter
from unit.penstock_server.store.test_group_commit import event

pytestmark = pytest.mark.anyio


def a_batch(number: int) -> BatchRow:
    """Returns the row of a batch of one frame."""
    return ("one", "run", number, number, b"frames")


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


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_epoch_cannot_move_between_its_reading_and_the_commit(database_url: str) -> None:
    """A bump waits for a batch under way; a batch that comes after that bump waits for it, and sees it."""
    database = Database(database_url)
    writer = PostgresWriter(database)

    async def bump() -> int:
        async with database.write() as connection:
            return await bump_epoch(connection)

    async def waiting(count: int, *tasks: "asyncio.Task[Any]") -> None:
        """Returns once that many locks are waited for, or one of the tasks has not waited."""
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not any(task.done() for task in tasks):
            async with database.read() as connection:
                if (await connection.execute(query)).scalar_one() == count:
                    return

    before = await bump()
    async with database.write() as blocker:
        await blocker.execute(
            text("LOCK TABLE frame_batch IN SHARE MODE")
        )  # what a batch meets after it read the epoch
        first = asyncio.create_task(writer.write(Batch([], [a_batch(1)])))
        await waiting(1, first)
        bumping = asyncio.create_task(bump())
        await waiting(2, first, bumping)
        second = asyncio.create_task(writer.write(Batch([], [a_batch(2)])))
        await waiting(3, first, bumping, second)
        assert not (first.done() or bumping.done() or second.done())
    assert await first == before
    assert await bumping == await second == before + 1
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

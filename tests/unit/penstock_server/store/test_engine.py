"""Tests of connections: what SQLite is told, what a transaction keeps, and what an error says."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store.engine import Database, is_sqlite, translated

pytestmark = pytest.mark.anyio

BUMP = text("UPDATE epoch SET value = value + 1")
VALUE = text("SELECT value FROM epoch")


async def _value(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(VALUE)).scalar_one())


async def test_a_transaction_is_kept_whole_or_not_at_all(database_url: str) -> None:
    """What raises leaves no trace."""
    database = Database(database_url)
    before = await _value(database)
    async with database.write() as connection:
        await connection.execute(BUMP)
    with pytest.raises(KeyError):
        async with database.write() as connection:
            await connection.execute(BUMP)
            raise KeyError
    assert await _value(database) == before + 1
    await database.close()


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(database_url: str) -> None:
    """A caller that hangs up in the middle holds no lock afterwards."""
    database = Database(database_url)
    before = await _value(database)
    inside = asyncio.Event()

    async def hang() -> None:
        async with database.write() as connection:
            await connection.execute(BUMP)
            inside.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.write() as connection:
        await connection.execute(BUMP)
    assert await _value(database) == before + 1
    await database.close()


async def test_writers_that_read_first_lose_no_update(database_url: str) -> None:
    """Twenty increments are twenty: SQLite's writers begin IMMEDIATE, PostgreSQL's wait for the row."""
    database = Database(database_url)
    before = await _value(database)

    async def bump() -> None:
        async with database.write() as connection:
            await connection.execute(BUMP)
            await connection.execute(VALUE)

    await asyncio.gather(*(bump() for _ in range(20)))
    assert await _value(database) == before + 20
    await database.close()


async def test_every_sqlite_connection_is_safe(tmp_path: Path) -> None:
    """Foreign keys are on, the journal is a WAL, each commit is synced."""
    (tmp_path / "a.db").touch()
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with database.read() as one, database.read() as two:
        for connection in (one, two):
            for pragma, expected in (("foreign_keys", 1), ("journal_mode", "wal"), ("synchronous", 2)):
                found = await connection.exec_driver_sql(f"PRAGMA {pragma}")
                assert found.scalar_one() == expected
    await database.close()


async def test_a_sqlite_that_cannot_be_made_safe_is_refused(tmp_path: Path) -> None:
    """No connection is kept that did not take every setting, and none lives on in a thread."""
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database" * 100)
    database = Database(f"sqlite+aiosqlite:///{path}")
    before = set(threading.enumerate())
    for _ in range(3):
        with pytest.raises(PenstockError) as refused:
            async with database.read():
                pass
        assert (refused.value.code, refused.value.reason) == (Code.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()
    await database.close()


@pytest.mark.parametrize("path", ["absent/a.db", "a.db"])
async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, path: str) -> None:
    """The refusal says what to do, names no path, and ends with no file."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / path}")
    with pytest.raises(PenstockError, match="penstock-server migrate") as refused:
        async with database.write():
            pass
    assert (refused.value.code, refused.value.reason) == (Code.UNAVAILABLE, "DATABASE_ABSENT")
    assert str(tmp_path) not in refused.value.message
    assert refused.value.retry_after_ms
    assert [file.name for file in os.scandir(tmp_path)] == []
    await database.close()


async def test_a_server_that_is_away_is_unavailable_and_says_nothing_secret() -> None:
    """The refusal names the kind of error, neither user nor password nor host."""
    database = Database("postgresql+asyncpg://someone:pass" + "word@/penstock?host=/nowhere/at/all")
    with pytest.raises(PenstockError) as refused:
        async with database.read():
            pass
    assert (refused.value.code, refused.value.reason) == (Code.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert not any(word in refused.value.message for word in ("someone", "password", "nowhere"))
    await database.close()


async def test_parameters_are_in_no_error(database_url: str) -> None:
    """Neither in the one that is translated nor in the one that the caller judges."""
    database = Database(database_url)
    planted = "plan" + "ted-secret"
    with pytest.raises(PenstockError) as refused:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:a)"), {"a": planted})
    assert planted not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    statement = text("INSERT INTO request_transition VALUES ('pending', :a)")
    with pytest.raises(IntegrityError) as judged:
        async with database.write() as connection:
            for _ in range(2):
                await connection.execute(statement, {"a": planted})
    assert planted not in str(judged.value) or not is_sqlite(database_url)
    await database.close()


async def test_a_time_out_counts_as_unavailable() -> None:
    """So do the operating system's errors; what is nobody's fault but ours passes as it is."""
    for error in (TimeoutError("slow"), ConnectionRefusedError("no")):
        with pytest.raises(PenstockError, match=type(error).__name__), translated():
            raise error
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


async def test_urls_are_told_apart() -> None:
    """By their scheme."""
    assert is_sqlite("sqlite+aiosqlite:////var/p.db")
    assert not is_sqlite("postgresql+asyncpg://h/sqlite")

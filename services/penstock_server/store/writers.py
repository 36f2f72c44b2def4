"""The two ways to write a batch: SQLite in one hop to a thread of its own, PostgreSQL over the engine."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.engine import make_url

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store.engine import BUSY_MS, Database
from penstock_server.store.group_commit import EMPTY_LOG, ENTRY_COLUMNS, FRAME_COLUMNS, Batch, LogEnd, Row
from penstock_server.store.policies import hold_epoch
from penstock_server.store.tables import AUDIT_ENTRY, FRAME_BATCH
from penstock_server.store.work_thread import WorkThread

__all__ = ["PostgresWriter", "SqliteWriter"]

_T = TypeVar("_T")


_CHUNKS = (64, 16, 4, 1)
"""Rows of one INSERT, tried from the largest: few different statements, so that SQLite keeps them all prepared."""


@lru_cache
def _insert(table: str, columns: tuple[str, ...], tail: str, rows: int) -> str:
    """Returns the statement that inserts that many rows."""
    row = f"({', '.join('?' for _ in columns)})"
    values = ", ".join([row] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}{tail}"  # noqa: S608 (constants of this module)


class SqliteWriter:
    """Implements group_commit.Writer over sqlite3: a whole transaction is one call in one thread."""

    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""
        self._thread = WorkThread("penstock-log")
        self._connection: sqlite3.Connection | None = None

    async def end(self, log: str) -> LogEnd:
        """Returns the end of the log. Raises UNAVAILABLE."""
        return await self._call(lambda connection: _end(connection, log))

    async def write(self, batch: Batch) -> int:
        """Commits the rows and returns the epoch."""
        return await self._call(lambda connection: _write(connection, batch))

    async def close(self) -> None:
        """Closes the connection and ends the thread."""

        def close() -> None:
            if self._connection is not None:
                self._connection.close()

        await self._thread.run(close)
        self._thread.stop()

    async def _call(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await self._thread.run(lambda: self._in_thread(work))

    def _in_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Runs the work; after an error the connection is made anew, so that nothing half done stays."""
        try:
            if self._connection is None:
                self._connection = _connect(self._path)
            return work(self._connection)
        except (sqlite3.Error, OSError) as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            raise PenstockError(
                Code.UNAVAILABLE,
                "AUDIT_UNAVAILABLE",
                f"the audit log cannot be written now ({getattr(error, 'sqlite_errorname', type(error).__name__)}), "
                "so nothing is allowed: see that the disk has room and the database file may be written",
                retry_after_ms=1000,
            ) from None


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    if connection.execute("PRAGMA synchronous").fetchone() != (2,):
        connection.close()
        raise OSError("SQLite did not take PRAGMA synchronous=FULL")
    return connection


def _end(connection: sqlite3.Connection, log: str) -> LogEnd:
    found = connection.execute(
        "SELECT seq, chain_hash FROM audit_entry WHERE log = ? ORDER BY seq DESC LIMIT 1", (log,)
    ).fetchone()
    return LogEnd(*found) if found else EMPTY_LOG


def _write(connection: sqlite3.Connection, batch: Batch) -> int:
    connection.execute("BEGIN IMMEDIATE")
    epoch: int = connection.execute("SELECT value FROM epoch WHERE id = 1").fetchone()[0]
    _insert_all(connection, "audit_entry", ENTRY_COLUMNS, batch.entries)
    _insert_all(connection, "frame_batch", FRAME_COLUMNS, batch.frames, " ON CONFLICT DO NOTHING")
    connection.execute("COMMIT")
    return epoch


def _insert_all(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row], tail: str = ""
) -> None:
    """Inserts rows, many in each statement: between two statements this thread waits for the interpreter's lock."""
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            values = [value for row in rows[at : at + size] for value in row]
            connection.execute(_insert(table, columns, tail, size), values)
            at += size


class PostgresWriter:
    """Implements group_commit.Writer over the engine's pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end(self, log: str) -> LogEnd:
        """Returns the end of the log. Raises UNAVAILABLE."""
        query = (
            select(AUDIT_ENTRY.c.seq, AUDIT_ENTRY.c.chain_hash)
            .where(AUDIT_ENTRY.c.log == log)
            .order_by(AUDIT_ENTRY.c.seq.desc())
            .limit(1)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).first()
        return LogEnd(found.seq, found.chain_hash) if found else EMPTY_LOG

    async def write(self, batch: Batch) -> int:
        """Commits the rows and returns the epoch."""
        async with self._database.write() as connection:
            epoch = await hold_epoch(connection)  # what moves it is committed before this batch, and seen, or after it
            if batch.entries:
                await connection.execute(insert(AUDIT_ENTRY), _named(ENTRY_COLUMNS, batch.entries))
            if batch.frames:
                await connection.execute(
                    postgresql_insert(FRAME_BATCH).on_conflict_do_nothing(), _named(FRAME_COLUMNS, batch.frames)
                )
        return epoch

    async def close(self) -> None:
        """Does nothing: the pool is the store's."""


def _named(columns: Sequence[str], rows: Sequence[Row]) -> list[dict[str, object]]:
    return [dict(zip(columns, row, strict=True)) for row in rows]

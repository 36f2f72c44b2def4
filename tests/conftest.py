"""Shared by all tests: async tests run on asyncio through anyio's plugin (mark them @pytest.mark.anyio)."""

import pytest

from databases import database_url, postgres_server, store

__all__ = ["anyio_backend", "database_url", "postgres_server", "store"]


@pytest.fixture
def anyio_backend() -> str:
    """Names the event loop of every anyio test."""
    return "asyncio"

"""Shared by all tests: async tests run on asyncio through anyio's plugin (mark them @pytest.mark.anyio)."""

import os

import pytest

# PostgreSQL is started by a fork, and gRPC's handlers of forks kill the child where calls run. Before grpc is imported:
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from databases import database_url, postgres_server, store
from event_loop import TestLoop

__all__ = ["anyio_backend", "database_url", "postgres_server", "store"]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Names the event loop of every anyio test."""
    return "asyncio", {"loop_factory": TestLoop}

"""Gives the integration tests a running service over each database, with a policy, a secret and an enrolled shim."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.service import Service, running_service


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """Runs the service."""
    async with running_service(tmp_path, database_url) as running:
        await running.prepare()
        yield running

"""Runs one world for all cases, on the loop of the real command, and writes the report when they are through."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from integration.bypass.report import Report
from integration.bypass.world import World, running_world

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Names the loop: all cases share it."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Runs service, shim and origin."""
    async with running_world(tmp_path_factory.mktemp("bypass")) as running:
        yield running


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    """Collects what became of each case; writes build/bypass-report.md."""
    collected = Report()
    yield collected
    collected.write(ROOT / "build" / "bypass-report.md")

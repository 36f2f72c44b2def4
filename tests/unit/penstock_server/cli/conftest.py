"""Fixtures of the command tests."""

from collections.abc import Iterator

import pytest

from unit.penstock_server.cli.fake_services import FakeService, running


@pytest.fixture
def service() -> Iterator[FakeService]:
    """Gives a fake service that listens."""
    with running() as fake:
        yield fake

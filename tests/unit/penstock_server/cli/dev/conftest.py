"""Fixtures of the dev tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Gives a private folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pst-") as folder:
        yield Path(folder)

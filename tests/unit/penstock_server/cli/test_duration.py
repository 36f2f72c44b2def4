"""Spans of time on the command line."""

import click
import pytest

from penstock_server.cli.duration import duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("1s", 1), ("30m", 1800), ("1h", 3600), ("30d", 2592000)]
)
def test_spans_are_seconds(text: str, seconds: int) -> None:
    """A bare number is seconds."""
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5h", "1w", "1h30m", "31d", "9" * 30, "\u0661h", " 1h"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    """No span, none at all, and a span over thirty days."""
    with pytest.raises(click.BadParameter):
        duration(text)

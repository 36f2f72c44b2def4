"""Spans of time on the command line: 3600, 90s, 30m, 1h, 7d."""

import re

import click

__all__ = ["duration"]

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds a unit."""

MOST_S = 30 * 86400
"""Longest span, seconds: the longest life of a token (TokenService)."""


def duration(text: str) -> int:
    """Returns whole seconds, from 1 to MOST_S; usable as the type of an option. Raises BadParameter."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(text))
    if match is None:
        raise click.BadParameter(f"{text!r} is not a span such as 30m, 1h or 3600 (seconds)")
    seconds = int(match[1]) * SECONDS[match[2]]
    if not 1 <= seconds <= MOST_S:
        raise click.BadParameter(f"{text!r} is not between 1 s and 30 days")
    return seconds

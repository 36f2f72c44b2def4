"""One find of a secret in a text, and the order in which finds are told."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["OPEN_LIMIT", "Find", "Until", "order"]

OPEN_LIMIT = 16384
"""Bytes of a secret without a longest length (a PEM key, a JWT) that are held back to name it; the rest is masked."""


@dataclass(frozen=True, slots=True)
class Until:
    """Holds how a kind without a longest length ends: with a match of this re2 pattern, at most `width` bytes wide.

    keep_end: that match is not part of the secret.
    """

    pattern: Any
    width: int
    keep_end: bool = False


@dataclass(slots=True)
class Find:
    """Holds one find: [low, high) is all that decided it, [start, end) what is masked, empty if nothing is.

    until: set for kinds without a longest length: the secret goes on to the first match behind `opened`, which begins
    at `close` if `closed`, and otherwise has not come yet. rank: lower is told before higher.
    """

    low: int
    high: int
    start: int
    end: int
    kind: str
    value: bytes = field(repr=False)
    known: bool = False
    rank: int = 0
    until: Until | None = None
    opened: int = 0
    closed: bool = False
    close: int = 0


def order(find: Find) -> tuple[int, bool, int, int]:
    """Sorts by begin; what is known comes before what is guessed, the longest first, and detectors as they stand."""
    return find.start, not find.known, -min(find.end, find.low + OPEN_LIMIT) if find.known else 0, find.rank

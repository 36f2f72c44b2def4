"""What masking gives: Masked content, or Unmaskable where it cannot be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NOTHING_MASKED", "Masked", "Unmaskable"]

NOTHING_MASKED: Mapping[str, int] = {}
"""Shared by all results without a find; never written to."""


@dataclass(slots=True)  # not frozen: that makes it four times as dear to create
class Masked:
    """Holds masked content, to be read only; counts maps a kind to how many stretches of it were replaced."""

    data: bytes = field(repr=False)
    counts: Mapping[str, int]


class Unmaskable(ValueError):
    """Says that content cannot be masked and must not be passed on; `reason` is one line without content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

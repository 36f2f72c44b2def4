"""Knows the kinds of secrets and personal data that can be found by their form: detectors.toml as values.

In: nothing but the file beside this module. Out: Detector values for patterns.py, names for policy documents.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from penstock._core.mask.checks import CHECKS

__all__ = ["FAMILIES", "Detector", "all_detectors", "chosen", "detector_ids"]

FAMILIES = frozenset({"secrets", "personal", "all"})
"""Names that stand for many detectors at once."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Holds one kind; see the head of detectors.toml for the fields."""

    id: str
    family: str
    pattern: str
    until: str = ""
    keep_end: bool = False
    hint: str = ""
    check: str = ""
    examples: tuple[str, ...] = ()
    not_examples: tuple[str, ...] = ()


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Returns every detector, in the order of the file; raises ValueError if the file holds something unknown."""
    text = files(__package__).joinpath("detectors.toml").read_text("utf-8")
    found = []
    for row in tomllib.loads(text)["detector"]:
        for name in ("examples", "not_examples"):
            row[name] = tuple("".join(parts) for parts in row.get(name, ()))
        detector = Detector(**row)
        if detector.family not in FAMILIES - {"all"} or detector.check not in {"", *CHECKS}:
            raise ValueError(f"detectors.toml: {detector.id} has an unknown family or check")
        found.append(detector)
    return tuple(found)


@cache
def detector_ids() -> frozenset[str]:
    """Returns the ids that a policy may name, beside the families."""
    return frozenset(detector.id for detector in all_detectors())


def chosen(names: Iterable[str]) -> tuple[Detector, ...]:
    """Returns the detectors that ids and families name; raises ValueError for a name that is neither."""
    wanted = frozenset(names)
    if unknown := wanted - detector_ids() - FAMILIES:
        raise ValueError(f"there is no detector {min(unknown)!r}")
    return tuple(d for d in all_detectors() if "all" in wanted or d.family in wanted or d.id in wanted)

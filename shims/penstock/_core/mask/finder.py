"""Finds every secret in a text, and where a secret could be about to begin at its end.

In: decoded text, whole or the last part of a stream. Out: finds with their extents. What is found is a property of the
text alone: per pattern the leftmost matches that do not overlap, together the union over all patterns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from penstock._core.mask.detectors import Detector, chosen, luhn
from penstock._core.mask.known_values import MIN_ANYWHERE, spellings
from penstock._core.mask.partial import literal_prefixes, prefixes, width
from penstock._core.mask.prefilter import new_prefilter
from penstock._core.verdict import KnownValue

__all__ = ["OPEN_LIMIT", "Find", "Finder", "order"]

OPEN_LIMIT = 16384
"""Bytes of a secret without a fixed length (a PEM key, a JWT) that are held back to name it; the rest is masked too."""
NESTED_LITERAL = 400
"""Bytes of the longest literal for which prefixes are searched exactly; re2 allows 1000 nested groups."""
PREFIX_MEMORY = 64 << 20
"""Bytes that the automaton for prefixes may use."""


@dataclass(slots=True)
class Find:
    """Holds one find: [low, high) is all that decided it, [start, end) what is masked, empty if nothing is.

    until: set for kinds without a longest length: the secret goes on to the first match of this pattern, which begins
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
    until: Any = None
    keep_end: bool = False
    closed: bool = False
    close: int = 0


class Finder:
    """Finds known values and what the chosen detectors describe."""

    def __init__(self, known: Sequence[KnownValue], detectors: frozenset[str]) -> None:
        self.known: Finder = Finder(known, frozenset()) if detectors else self
        """Finds the known values only."""
        self._patterns = _patterns(detectors)
        self._literals = _literals(tuple(known))
        self.short = {value.value: value.name for value in known if 0 < len(value.value) < MIN_ANYWHERE}
        """Values that are masked only as a whole JSON string, with their names."""
        self.active = bool(self._patterns.detectors or self._literals.literals or self.short)
        self.widest = max(self._patterns.widest, self._literals.widest)

    def occurs(self, text: bytes) -> bool:
        """Returns whether anything may be found: False is certain."""
        if self._literals.prefilter.occurring(text) or self._patterns.prefilter.occurring(text):
            return True
        return any(value in text for value in self.short)

    def finds(self, text: bytes, begin: int = 0) -> list[Find]:
        """Returns all finds that start at `begin` or later, sorted; the byte before `begin` is context."""
        found: list[Find] = []
        for index in self._literals.prefilter.occurring(text):
            literal, known = self._literals.literals[index]
            at = text.find(literal, begin)
            while at >= 0:
                end = at + len(literal)
                found.append(Find(at, end, at, end, known.name, known.value, True, index))
                at = text.find(literal, at + 1)
        for index in self._patterns.prefilter.occurring(text):
            detector, pattern, until = self._patterns.compiled(index)
            match = pattern.search(text, begin)
            while match is not None:
                find = _find(text, match, detector, until, index)
                found.append(find)
                if until is not None and not find.closed:
                    break  # all that follows is inside
                match = pattern.search(text, find.high)
        found.sort(key=order)
        return found

    def live(self, text: bytes, begin: int = 0) -> int:
        """Returns where the earliest match begins that more text could complete; len(text) if there is none."""
        from_here = max(begin, len(text) - self.widest)
        tail = text[max(from_here - 1, 0) :]
        offset = len(text) - len(tail)
        skip = from_here - offset
        live = len(text)
        for partial in (self._patterns.partial(), self._literals.partial()):
            if partial is not None:
                live = min(live, offset + partial.search(tail, skip).start())
        return live


class _Patterns:
    """Holds compiled detectors; shared by all maskers with the same choice."""

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        self.detectors = detectors
        self.widest = max((width(detector.pattern) for detector in detectors), default=0)
        self.prefilter = new_prefilter([detector.pattern.encode() for detector in detectors], self.widest)
        self._compiled: dict[int, tuple[Detector, Any, Any]] = {}
        self._partial: Any = None

    def compiled(self, index: int) -> tuple[Detector, Any, Any]:
        if index not in self._compiled:
            detector = self.detectors[index]
            until = re2.compile(detector.until.encode()) if detector.until else None
            self._compiled[index] = detector, re2.compile(detector.pattern.encode()), until
        return self._compiled[index]

    def partial(self) -> Any:
        if self._partial is None and self.detectors:
            self._partial = _compiled_partial([prefixes(detector.pattern) for detector in self.detectors])
        return self._partial


class _Literals:
    """Holds the spellings of known values."""

    def __init__(self, known: tuple[KnownValue, ...]) -> None:
        spelled = {literal: value for value in reversed(known) for literal in spellings(value.value)}
        self.literals = sorted(spelled.items(), key=lambda item: item[0])
        self.widest = max((len(literal) for literal in spelled), default=0)
        self.prefilter = new_prefilter([literal for literal, _ in self.literals], self.widest, literal=True)
        self._partial: Any = None

    def partial(self) -> Any:
        if self._partial is None and self.literals:
            exact = [literal for literal, _ in self.literals if len(literal) <= NESTED_LITERAL]
            parts = [literal_prefixes(literal) for literal in exact]
            if len(exact) < len(self.literals):  # long ones: hold whatever could still be inside one
                parts.append(f"(?s:.{{0,1000}}){{0,{self.widest // 1000 + 1}}}")
            self._partial = _compiled_partial(parts)
        return self._partial


@lru_cache(maxsize=64)
def _patterns(detectors: frozenset[str]) -> _Patterns:
    return _Patterns(chosen(detectors))


@lru_cache(maxsize=64)
def _literals(known: tuple[KnownValue, ...]) -> _Literals:
    return _Literals(known)


def _compiled_partial(parts: list[str]) -> Any:
    options = re2.Options()
    options.max_mem = PREFIX_MEMORY
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(("(?:" + "|".join(parts) + r")\z").encode("latin-1"), options)


def order(find: Find) -> tuple[int, int, bool, int]:
    """Sorts by begin, then widest first, as far as a stream can tell; what is known goes before what is guessed."""
    return find.start, -min(find.end, find.low + OPEN_LIMIT), not find.known, find.rank


def _find(text: bytes, match: Any, detector: Detector, until: Any, rank: int) -> Find:
    low, high = match.span()
    start, end = match.span("secret") if "secret" in match.re.groupindex else (low, high)
    if detector.check == "luhn" and not luhn(text[start:end]):
        end = start
    if until is None:
        return Find(low, high, start, end, detector.id, text[start:end], False, rank)
    close = until.search(text, high)
    if close is None:
        value = text[start : low + OPEN_LIMIT]
        return Find(low, len(text), start, len(text), detector.id, value, False, rank, until, detector.keep_end)
    end = close.start() if detector.keep_end else close.end()
    value = text[start : min(end, low + OPEN_LIMIT)]
    return Find(
        low, close.end(), start, end, detector.id, value, False, rank, until, detector.keep_end, True, close.start()
    )

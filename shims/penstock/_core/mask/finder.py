"""Finds every secret in a text, and where a secret could be about to begin at its end.

In: decoded text, whole or the last part of a stream. Out: finds, sorted: the union over known values and detectors.
"""

from collections.abc import Sequence

from penstock._core.mask.find import Find, order
from penstock._core.mask.literals import literals
from penstock._core.mask.patterns import patterns
from penstock._core.verdict import KnownValue

__all__ = ["Finder"]


class Finder:
    """Finds known values and what the chosen detectors describe."""

    def __init__(self, known: Sequence[KnownValue], detectors: frozenset[str]) -> None:
        self._patterns = patterns(detectors)
        self._literals = literals(known)
        self.known = Finder(known, frozenset()) if self._patterns.active else self
        """Finds the known values only."""
        self.exact = self._literals.exact
        """Values that are masked only as a whole JSON string or number, with their names."""
        self.may_span = self._literals.may_span
        """Whether a known value could stand in JSON across several strings or numbers."""
        self.active = bool(self._patterns.active or self._literals.active or self.exact)

    def occurs(self, text: bytes) -> bool:
        """Returns whether anything may be found: False is certain, also for the whole strings in `exact`, in quotes."""
        if self._literals.occurring(text) or self._patterns.occurring(text) or self._literals.ends_in(text):
            return True
        return bool(self.exact) and any(b'"%s"' % value in text for value in self.exact)

    def occurs_raw(self, data: bytes) -> bool:
        """Returns whether anything may be found in a body without escapes: False is certain, for JSON and for text."""
        if self._literals.occurring(data) or self._patterns.occurring(data) or self._literals.ends_in(data):
            return True
        return bool(self.exact) and any(value in data for value in self.exact)

    def is_spaced_out(self, data: bytes) -> bool:
        """Returns whether a key of JSON and its value could stand too far apart for a look at the raw bytes."""
        return self._patterns.active and self._patterns.is_spaced_out(data)

    def look(self, text: bytes, begin: int = 0, *, last: bool = True) -> tuple[list[Find], int]:
        """Returns all finds that begin at `begin` or later, sorted, and from where on more text could change that.

        The byte before `begin` is context. last: no more text follows.
        """
        found: list[Find] = []
        live = self._literals.look(text, begin, found, last=last)
        live = min(live, self._patterns.look(text, begin, found, last=last))
        if len(found) > 1:
            found.sort(key=order)
        return found, live

    def cut_off(self, text: bytes, begin: int = 0) -> list[Find]:
        """Returns the find of what looks like a known value that the end of a text cuts off, if there is one."""
        find = self._literals.cut_off(text, begin) if self._literals.active else None
        return [] if find is None else [find]

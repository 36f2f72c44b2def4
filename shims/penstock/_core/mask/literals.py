"""Finds known values: every spelling of every value, and where one could be about to begin at the end of a text.

In: known values. Out: finds, and the begin of the longest ending that a spelling could still complete. Searched for are
the heads of the spellings; what follows a head is compared, so that thousands of long spellings cost little.
"""

from collections.abc import Sequence
from functools import lru_cache

from penstock._core.mask.find import Find
from penstock._core.mask.known_values import is_exact_only, spellings
from penstock._core.mask.prefilter import escaped, new_prefilter
from penstock._core.verdict import KnownValue

__all__ = ["CUT_OFF", "Literals", "literals"]

_STRUCTURE = b'",{}[]'
HEAD = 16
"""Bytes of a spelling that are searched for: more would only enlarge the automaton."""
CUT_OFF = 8
"""Bytes of a spelling that are masked where a text ends in them: it would be all but whole if one byte were missing."""


class Literals:
    """Holds the spellings of known values, and the values that are masked only as a whole JSON string or number."""

    def __init__(self, known: tuple[KnownValue, ...]) -> None:
        spelled = {literal: value for value in reversed(known) for literal in spellings(value.value)}
        by_head: dict[bytes, list[tuple[bytes, int, KnownValue]]] = {}
        for rank, literal in enumerate(sorted(spelled)):
            by_head.setdefault(literal[:HEAD], []).append((literal, rank, spelled[literal]))
        self._heads = list(by_head.items())
        self._beginnings = frozenset(head[:length] for head in by_head for length in range(1, min(HEAD, len(head))))
        self._cut_off = {
            literal[:length]: spelled[literal]
            for literal in sorted(spelled, reverse=True)
            for length in range(CUT_OFF, min(HEAD, len(literal)))
        }
        self._last_two = frozenset(beginning[-2:] for beginning in self._cut_off)
        self.exact = {
            value.value.strip(): value.name for value in reversed(known) if is_exact_only(value.value.strip())
        }
        self.exact.pop(b"", None)
        self.occurring = new_prefilter([escaped(head) for head in by_head], HEAD)
        self.widest = max((len(literal) for literal in spelled), default=0)
        self.active = bool(spelled)
        self.may_span = any(literal.translate(None, delete=_STRUCTURE) != literal for literal in spelled)
        """Whether a spelling could stand in JSON across several strings or numbers."""

    def look(self, text: bytes, begin: int, found: list[Find], *, last: bool) -> int:
        """Adds what is found from `begin` on; returns where the earliest spelling begins that the end of text cuts."""
        size = len(text)
        live = size if last else self._beginning(text, begin)
        for index in self.occurring(text):
            head, candidates = self._heads[index]
            at = text.find(head, begin)
            while at >= 0:
                for literal, rank, known in candidates:
                    end = at + len(literal)
                    if end <= size:
                        if text.startswith(literal, at):
                            found.append(Find(at, end, at, end, known.name, known.value, True, rank))
                    elif at < live and not last and literal.startswith(text[at:]):
                        live = at
                at = text.find(head, at + 1)
        return live

    def ends_in(self, text: bytes) -> bool:
        """Returns whether a text ends in the begin of a spelling which is too short for `occurring`."""
        return text[-2:] in self._last_two and self._short_end(text, 0) is not None

    def cut_off(self, text: bytes, begin: int) -> Find | None:
        """Returns the find of the longest begin of a spelling, from CUT_OFF bytes on, in which a text ends."""
        size = len(text)
        begin = max(begin, size - self.widest + 1)
        tail = text[begin:]
        first: tuple[int, int, KnownValue] | None = None
        for index in self.occurring(tail):
            head, candidates = self._heads[index]
            at = text.find(head, begin)
            while at >= 0:
                for literal, rank, known in candidates:
                    is_cut = at + len(literal) > size and (first is None or (at, rank) < first[:2])
                    if is_cut and literal.startswith(text[at:]):
                        first = at, rank, known
                at = text.find(head, at + 1) if first is None or at < first[0] else -1
        if first is None:
            first = self._short_end(text, begin)
        if first is None:
            return None
        at, rank, known = first
        return Find(at, size, at, size, known.name, known.value, True, rank)

    def _short_end(self, text: bytes, begin: int) -> tuple[int, int, KnownValue] | None:
        size = len(text)
        for at in range(max(begin, size - HEAD + 1), size - CUT_OFF + 1):
            known = self._cut_off.get(text[at:])
            if known is not None:
                return at, 0, known
        return None

    def _beginning(self, text: bytes, begin: int) -> int:
        """Returns where the longest end of the text begins that is a head without its last bytes."""
        size = len(text)
        beginnings = self._beginnings
        for at in range(max(begin, size - HEAD + 1), size):
            if text[at:] in beginnings:
                return at
        return size


def literals(known: Sequence[KnownValue]) -> Literals:
    """Returns the literals of these values, the same object for the same values."""
    return _literals(tuple(known))


@lru_cache(maxsize=64)
def _literals(known: tuple[KnownValue, ...]) -> Literals:
    return Literals(known)

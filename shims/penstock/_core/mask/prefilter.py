"""Says which of many patterns occur in a text at all: hyperscan where it has a wheel, else re2's Set, with equal answers.

In: patterns in the common part of both syntaxes. Out: the indices of those that occur. Not where: finder.py does that.
"""

import threading
from collections.abc import Sequence
from typing import Any, Protocol

import re2

try:
    import hyperscan
except ImportError:  # no wheel for this platform
    hyperscan = None

__all__ = ["Prefilter", "hyperscan_prefilter", "new_prefilter", "re2_prefilter"]

RE2_WINDOW = 65536
"""Bytes that re2's Set is shown at once: its automaton thrashes on longer texts (0.3 instead of 60 MiB/s at 10 MiB)."""
RE2_MEMORY = 256 << 20
"""Bytes that one re2 Set may use."""


class Prefilter(Protocol):
    """Finds which patterns occur."""

    def occurring(self, text: bytes) -> list[int]:
        """Returns the indices of the patterns that occur in the text, each once, in any order."""
        ...


def new_prefilter(patterns: Sequence[bytes], widest: int, *, literal: bool = False) -> Prefilter:
    """Returns a prefilter for the patterns; widest: the longest match of any, in bytes."""
    if not patterns:
        return _Nothing()
    if hyperscan is not None:
        return hyperscan_prefilter(patterns, literal=literal)
    return re2_prefilter(patterns, widest, literal=literal)


class _Nothing:
    def occurring(self, text: bytes) -> list[int]:
        return []


def hyperscan_prefilter(patterns: Sequence[bytes], *, literal: bool = False) -> Prefilter:
    """Returns a prefilter over hyperscan in block mode."""
    return _Hyperscan([_escaped(pattern) for pattern in patterns] if literal else patterns)


def re2_prefilter(patterns: Sequence[bytes], widest: int, *, literal: bool = False) -> Prefilter:
    """Returns a prefilter over re2's Set."""
    return _Re2([_escaped(pattern) for pattern in patterns] if literal else patterns, widest)


class _Hyperscan:
    def __init__(self, patterns: Sequence[bytes]) -> None:
        self._database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=list(patterns),
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(patterns),
        )
        self._found: list[int] = []
        self._lock = threading.Lock()  # a database has one scratch space
        self._handler = self._on_match  # the binding does not keep it alive

    def _on_match(self, index: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.append(index)

    def occurring(self, text: bytes) -> list[int]:
        with self._lock:
            self._database.scan(text, match_event_handler=self._handler)
            if not self._found:
                return self._found
            found, self._found = self._found, []
        return found


class _Re2:
    def __init__(self, patterns: Sequence[bytes], widest: int) -> None:
        options = re2.Options()
        options.max_mem = RE2_MEMORY
        options.encoding = re2.Options.Encoding.LATIN1
        self._set: Any = re2.Set.SearchSet(options)
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()
        self._overlap = widest + 2

    def occurring(self, text: bytes) -> list[int]:
        found: set[int] = set()
        step = max(RE2_WINDOW - self._overlap, RE2_WINDOW // 2)
        for start in range(0, max(len(text), 1), step):
            found.update(self._set.Match(text[start : start + step + self._overlap]))
        return list(found)


def _escaped(literal: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in literal)

"""Says which of many patterns occur in a text at all: hyperscan where it has a wheel, else re2's Set.

In: patterns in the common part of both syntaxes, in bytes. Out: the indices of those that occur, the same from both
engines. Not where: finder.py does that.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import re2

hyperscan: Any
try:
    import hyperscan
except ImportError:  # no wheel for this platform
    hyperscan = None

__all__ = ["Occurring", "escaped", "hyperscan_prefilter", "new_prefilter", "re2_prefilter"]

Occurring = Callable[[bytes], list[int]]
"""Returns the indices of the patterns that occur in a text, each once, in any order; the list belongs to the caller."""

RE2_WINDOW = 65536
"""Bytes that re2's Set is shown at once: its automaton thrashes on longer texts (0.3 instead of 60 MiB/s at 10 MiB)."""
RE2_MEMORY = 256 << 20
"""Bytes that one re2 Set may use."""


def new_prefilter(patterns: Sequence[bytes], widest: int) -> Occurring:
    """Returns a prefilter for the patterns; widest: the longest match of any, in bytes."""
    if not patterns:
        return lambda text: []
    return re2_prefilter(patterns, widest) if hyperscan is None else hyperscan_prefilter(patterns)


def escaped(literal: bytes) -> bytes:
    """Returns the pattern for exactly these bytes."""
    return b"".join(b"\\x%02x" % byte for byte in literal)


def hyperscan_prefilter(patterns: Sequence[bytes]) -> Occurring:
    """Returns a prefilter over hyperscan in block mode."""
    return _Hyperscan(patterns).occurring


def re2_prefilter(patterns: Sequence[bytes], widest: int) -> Occurring:
    """Returns a prefilter over re2's Set."""
    return _Re2(patterns, widest).occurring


class _Hyperscan:
    def __init__(self, patterns: Sequence[bytes]) -> None:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(
            expressions=list(patterns),
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(patterns),
        )
        self._scan = database.scan
        self._found: list[int] = []
        self._lock = threading.Lock()  # a database has one scratch space
        self._handler = self._on_match  # the binding does not keep it alive

    def _on_match(self, index: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.append(index)

    def occurring(self, text: bytes) -> list[int]:
        with self._lock:
            self._scan(text, self._handler)
            found = self._found
            if found:
                self._found = []
                return found
        return []


class _Re2:
    def __init__(self, patterns: Sequence[bytes], widest: int) -> None:
        options = re2.Options()
        options.max_mem = RE2_MEMORY
        options.encoding = re2.Options.Encoding.LATIN1
        self._set = re2.Set.SearchSet(options)
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()
        self._options = options
        self._patterns = patterns
        self._lock = threading.Lock()
        self._overlap = widest + 2  # a byte of context on either side

    def occurring(self, text: bytes) -> list[int]:
        with self._lock:
            if len(text) <= RE2_WINDOW:
                return self._set.Match(text) or []
            found: set[int] = set()
            step = max(RE2_WINDOW - self._overlap, RE2_WINDOW // 2)
            for start in range(0, len(text), step):
                found.update(self._set.Match(text[start : start + step + self._overlap]) or ())
            # a cut looks like the edge of a word, so that what was seen in a part may not be in the text
            return [index for index in found if re2.compile(self._patterns[index], self._options).search(text)]

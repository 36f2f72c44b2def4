"""Finds what the chosen detectors describe, and where one could be about to begin at the end of a text.

In: names of detectors. Out: finds: the match of each pattern at every place, so that they are a property of the text
alone; and the begin of the earliest match that more text could complete or prolong.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

from penstock._core.mask.checks import CHECKS
from penstock._core.mask.detectors import Detector, chosen
from penstock._core.mask.find import OPEN_LIMIT, Find, Until
from penstock._core.mask.partial import prefixes, width
from penstock._core.mask.prefilter import new_prefilter

__all__ = ["Patterns", "compiled", "patterns"]

PREFIX_MEMORY = 64 << 20
"""Bytes that the automaton for prefixes may use."""
FAR_COLON = rb"[ \t\r\n]{9}:|:[ \t\r\n]{9}"
"""More blanks beside a colon than a detector allows between a key and its value."""


class Patterns:
    """Holds compiled detectors."""

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        self._detectors = detectors
        self.widest = max((width(detector.pattern) for detector in detectors), default=0)
        sources = [(detector.hint or detector.pattern).encode() for detector in detectors]
        self._far = len(sources)
        self._prefilter = new_prefilter([*sources, FAR_COLON] if sources else [], max(self.widest, 10))
        self._compiled: dict[int, tuple[Detector, Any, int, Until | None, int]] = {}
        self._partial: Any = None
        self.active = bool(sources)

    def occurring(self, text: bytes) -> list[int]:
        """Returns which detectors occur in a text, and FAR_COLON as the last of all."""
        return self._prefilter(text)

    def is_spaced_out(self, text: bytes) -> bool:
        """Returns whether blanks could keep a detector from seeing a key of JSON and its value as one."""
        return self._far in self._prefilter(text)

    def look(self, text: bytes, begin: int, found: list[Find], *, last: bool) -> int:
        """Adds what is found from `begin` on; returns where the earliest match begins that more text could change."""
        for index in self._prefilter(text):
            if index == self._far:
                continue
            detector, pattern, group, until, widest = self._parts(index)
            match = pattern.search(text, begin)
            while match is not None:
                find = _find(text, match, detector, group, until, index)
                found.append(find)
                match = (
                    pattern.search(text, find.low + 1)
                    if until is None
                    else _next(text, pattern, find, widest, last=last)
                )
        return len(text) if last or not self.active else self._beginning(text, begin)

    def _beginning(self, text: bytes, begin: int) -> int:
        if self._partial is None:
            sources = "|".join(prefixes(detector.pattern) for detector in self._detectors)
            self._partial = compiled(f"(?:{sources})\\z", PREFIX_MEMORY)
        begin = max(begin, len(text) - self.widest)
        context = max(begin - 1, 0)
        match = self._partial.search(text[context:], begin - context)
        return context + int(match.start())

    def _parts(self, index: int) -> tuple[Detector, Any, int, Until | None, int]:
        if index not in self._compiled:
            detector = self._detectors[index]
            until = None
            if detector.until:
                until = Until(compiled(detector.until), width(detector.until), detector.keep_end)
            group = re.compile(detector.pattern).groupindex.get("secret", 0)
            self._compiled[index] = detector, compiled(detector.pattern), group, until, width(detector.pattern)
        return self._compiled[index]


def compiled(pattern: str, memory: int = 8 << 20) -> Any:
    """Returns a re2 pattern over bytes: without the option, re2 takes a text for UTF-8, which may be cut anywhere."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = memory
    return re2.compile(pattern.encode("latin-1"), options)


def patterns(names: Iterable[str]) -> Patterns:
    """Returns the patterns of ids and families, the same object for the same; raises ValueError for unknown ones."""
    return _patterns(frozenset(names))


@lru_cache(maxsize=64)
def _patterns(names: frozenset[str]) -> Patterns:
    return Patterns(chosen(names))


def _find(text: bytes, match: Any, detector: Detector, group: int, until: Until | None, rank: int) -> Find:
    low, high = match.span()
    start, end = match.span(group)
    if detector.check:
        end = start + CHECKS[detector.check](text[low:start], text[start:end])
    if until is None:
        return Find(low, high, start, end, detector.id, text[start:end], False, rank)
    close = until.pattern.search(text, high)
    if close is None:
        value = text[start : low + OPEN_LIMIT]
        return Find(low, len(text), start, len(text), detector.id, value, False, rank, until, high)
    end = close.start() if until.keep_end else close.end()
    value = text[start : min(end, low + OPEN_LIMIT)]
    return Find(low, close.end(), start, end, detector.id, value, False, rank, until, high, True, close.start())


def _next(text: bytes, pattern: Any, find: Find, widest: int, *, last: bool) -> Any:
    """Returns the next match that does not end as the find does: those that a close is behind all end with it.

    Without this, many beginnings before one end would each be followed to that end.
    """
    assert find.until is not None
    if find.closed:
        close = find.close
    elif last:
        return None
    else:
        close = len(text) - find.until.width + 1  # from here on one may have begun that the end of the text cuts
    at = max(find.low + 1, close - widest + 1)
    match = pattern.search(text, at)
    while match is not None and match.end() <= close:
        match = pattern.search(text, match.start() + 1)
    return match

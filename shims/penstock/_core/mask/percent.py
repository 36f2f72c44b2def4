"""Finds what detectors know in text that is percent-encoded, as addresses and forms are.

In: raw text. Out: finds, in bytes of the raw text. Known values need no decoding: their spellings are searched for.
Source: WHATWG URL, "percent-decode" and application/x-www-form-urlencoded.
"""

import re
from bisect import bisect_right

from penstock._core.mask.find import Find
from penstock._core.mask.finder import Finder

__all__ = ["percent_finds"]

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def percent_finds(finder: Finder, raw: bytes, *, plus: bool) -> list[Find]:
    """Returns what is found in the decoded text; plus: a "+" stands for a space."""
    if b"%" not in raw and not (plus and b"+" in raw):
        return []
    spaced = raw.replace(b"+", b" ") if plus else raw
    text_at, raw_at = [0], [0]  # begins of stretches in which text and raw run alike; an escape is a stretch of one
    for match in _ESCAPE.finditer(spaced):
        begin = text_at[-1] + match.start() - raw_at[-1]
        text_at += [begin, begin + 1]
        raw_at += [match.start(), match.end()]
    text = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), spaced)
    if not finder.occurs(text):
        return []

    def raw_of(at: int) -> int:
        stretch = bisect_right(text_at, at) - 1
        return raw_at[stretch] + at - text_at[stretch]

    found = []
    for find in finder.look(text)[0]:
        find.low, find.high, find.start, find.end = map(raw_of, (find.low, find.high, find.start, find.end))
        find.until = None
        found.append(find)
    return found

"""Decodes the insides of JSON strings and finds the raw bytes that stand for a part of the decoded text.

In: the bytes between the quotes. Out: decoded UTF-8 bytes and offsets. Source: RFC 8259 section 7; what it forbids is
read as the readers do that allow it (control characters, unknown escapes, lone surrogates).
"""

import re
from bisect import bisect_right
from collections.abc import Iterable

__all__ = ["decoded", "encoded", "raw_spans"]

_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL
)
_SPECIAL = re.compile(rb'["\\\x00-\x1f]')
_SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def decoded(raw: bytes) -> bytes:
    """Returns the text of a JSON string from the bytes between its quotes."""
    return _ESCAPE.sub(_unescaped, raw) if b"\\" in raw else raw


def encoded(text: bytes) -> bytes:
    """Returns text as it stands between the quotes of a JSON string; bytes that are not UTF-8 stay as they are."""
    return _SPECIAL.sub(_escaped, text)


def raw_spans(raw: bytes, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the raw bytes behind spans of the decoded text that are not empty; an escape is never cut."""
    if b"\\" not in raw:
        return list(spans)
    text_at, raw_at, is_escape = [0], [0], [False]
    for match in _ESCAPE.finditer(raw):
        gap = match.start() - raw_at[-1]
        text_at += [text_at[-1] + gap, text_at[-1] + gap + len(_unescaped(match))]
        raw_at += [match.start(), match.end()]
        is_escape += [True, False]
    found = []
    for start, end in spans:
        first = bisect_right(text_at, start) - 1
        last = bisect_right(text_at, end - 1) - 1
        low = raw_at[first] + (0 if is_escape[first] else start - text_at[first])
        high = raw_at[last + 1] if is_escape[last] else raw_at[last] + end - text_at[last]
        found.append((low, high))
    return found


def _escaped(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"\\" + byte if byte in b'"\\' else b"\\u%04x" % byte[0]


def _unescaped(match: re.Match[bytes]) -> bytes:
    high, low, unit, short = match.groups()
    if short is not None:
        return _SHORT.get(short, short)
    if unit is not None:
        return chr(int(unit, 16)).encode("utf-8", "surrogatepass")
    return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()

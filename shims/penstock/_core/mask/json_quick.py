"""Masks one JSON document that is all there by reading only the strings in which something may be found.

In: a document, up to some size. Out: the same as JsonStream makes of it, at a tenth of the cost; None where that
cannot be told. A scan of the raw bytes, json.loads for the grammar, and a look at the strings around each hit and at
those with escapes: what is in a string without escapes stands in the document as it is.
"""

import json
import re

from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import LeafMask, spliced
from penstock._core.mask.json_reader import LEAF, SIGNED, Leaf
from penstock._core.mask.json_string import decoded
from penstock._core.mask.token import Mint

__all__ = ["leaves_at", "masked_document"]

SPANS_LIMIT = 64
"""Places to look at; with more of them JsonStream is as quick."""

_ESCAPED_LETTER = re.compile(rb"\\u00[5-7]")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_IS_KEY = re.compile(rb"[ \t\r\n]*+:")
_SPACE = b" \t\r\n"
_NUMBER = b"0123456789+-.eE"


def masked_document(finder: Finder, mint: Mint, data: bytes) -> bytes | None:
    """Returns the masked document, the same object if nothing is masked, None if it must be read as a whole."""
    if any(kind in data for kind in SIGNED) or finder.is_spaced_out(data):
        return None
    if b"\\" in data and _ESCAPED_LETTER.search(data):
        return None  # it may spell one of them
    finds, _ = finder.look(data)
    if any(find.until is not None for find in finds):
        return None
    spans = [(find.low, find.high) for find in finds]
    for value in finder.exact:
        at = data.find(value)
        while at >= 0 and len(spans) <= SPANS_LIMIT:
            spans.append((at, at + len(value)))
            at = data.find(value, at + 1)
    plain = data
    at = data.find(b"\\")
    if at >= 0:
        plain = _ESCAPE.sub(b"__", data)  # of the same length, so that every quote is the begin or end of a string
        while at >= 0 and len(spans) <= SPANS_LIMIT:
            end = plain.find(b'"', at)
            spans.append((at, end))
            at = data.find(b"\\", end) if end >= 0 else -1
    if len(spans) > SPANS_LIMIT:
        return None
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return None
    splices = LeafMask(finder, mint).splices(data, leaves_at(data, plain, sorted(spans)))
    return spliced(data, splices) if splices else data


def leaves_at(data: bytes, plain: bytes, spans: list[tuple[int, int]]) -> list[Leaf]:
    """Returns the leaves that sorted spans touch, a key always with its value and a value with its key.

    plain: the document without escapes, with every byte in its place.
    """
    leaves: list[Leaf] = []
    done = 0  # a place outside of strings up to which all is looked at
    for low, high in spans:
        if high <= done:
            continue
        start = max(low, done)
        if plain.count(b'"', done, start) % 2:
            start = plain.rfind(b'"', 0, start)
        else:
            while start > done and plain[start - 1] in _NUMBER:
                start -= 1
        done = _read(data, plain, _key_before(plain, start), high, leaves)
    return leaves


def _key_before(plain: bytes, start: int) -> int:
    """Returns where the key of the value at `start` begins, or `start` if it has none."""
    at = len(plain[:start].rstrip(_SPACE))
    if plain[at - 1 : at] != b":":
        return start
    return plain.rfind(b'"', 0, plain.rfind(b'"', 0, at))


def _read(data: bytes, plain: bytes, start: int, high: int, leaves: list[Leaf]) -> int:
    """Adds the leaves from `start` to `high`; returns where the last one ends."""
    key: bytes | None = None
    end = start
    for match in LEAF.finditer(plain, start):
        begin = match.start()
        if key is not None and plain[end:begin].strip(_SPACE) != b":":
            key = None  # its value is an object or array
        if begin >= high and key is None:
            break
        end = match.end()
        if _IS_KEY.match(plain, end):
            leaves.append(Leaf(begin, end, is_key=True))
            key = decoded(data[begin + 1 : end - 1])
        else:
            leaves.append(Leaf(begin, end, key=key or b""))
            key = None
    return end

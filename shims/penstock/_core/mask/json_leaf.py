"""Masks one leaf of JSON: a string, key, number or word; looks for JSON inside of strings, too.

In: a leaf with its raw bytes. Out: the raw bytes that take its place, or None if it stays as it is.
"""

import json
from bisect import bisect_left, bisect_right
from itertools import accumulate

from penstock._core.mask.find import Find
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.json_string import decoded, encoded, raw_spans
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import stretches

__all__ = ["LeafMask", "Splice", "is_container", "is_json", "spliced"]

Splice = tuple[int, int, bytes]
"""Where something begins and ends, and what takes its place."""

GUARD = b"\0"
"""Stands between leaves that are looked through together: no pattern can match it."""
_QUOTE = 0x22
NESTED_DEPTH = 4
"""How deep JSON is looked for inside of strings; below it they are scanned as text."""


class LeafMask:
    """Masks leaves with one finder, under one key."""

    def __init__(self, finder: Finder, mint: Mint, depth: int = 0) -> None:
        self._finder = finder
        self._mint = mint
        self._depth = depth

    def splices(self, source: bytes | bytearray, leaves: list[Leaf]) -> list[Splice]:
        """Returns what to put in the place of which bytes of the source; leaves that stay as they are have no part."""
        texts = [self._text(source, leaf) for leaf in leaves]
        found = []
        for at in self._suspects(leaves, texts):
            leaf = leaves[at]
            changed = self._changed(leaf, bytes(source[leaf.start : leaf.end]), texts[at])
            if changed is not None:
                leaf.edited = True
                found.append((leaf.start, leaf.end, changed))
        return found

    @staticmethod
    def _text(source: bytes | bytearray, leaf: Leaf) -> bytes:
        if source[leaf.start] == _QUOTE:
            return decoded(bytes(source[leaf.start + 1 : leaf.end - 1]))
        return bytes(source[leaf.start : leaf.end])

    def _suspects(self, leaves: list[Leaf], texts: list[bytes]) -> list[int]:
        """Returns which leaves must be looked at by themselves: found by a look at all of them together."""
        exact = self._finder.exact
        suspects = {
            at
            for at, (leaf, text) in enumerate(zip(leaves, texts, strict=True))
            if leaf.whole or text in exact or self._may_be_nested(leaf, text)
        }
        given = [_given(leaf, text) for leaf, text in zip(leaves, texts, strict=True)]
        finds, _ = self._finder.look(GUARD.join(given))
        if finds:
            ends = list(accumulate(len(text) + 1 for text in given))
            for find in finds:
                suspects.update(range(bisect_right(ends, find.low), bisect_left(ends, find.high) + 1))
        return sorted(at for at in suspects if at < len(leaves))

    def _may_be_nested(self, leaf: Leaf, text: bytes) -> bool:
        """Returns whether a leaf could hold JSON: then what is in it may not be seen before that is decoded."""
        return not leaf.is_key and self._depth < NESTED_DEPTH and text.lstrip()[:1] in (b"{", b"[")

    def finds(self, leaf: Leaf, text: bytes) -> list[Find]:
        """Returns what is found in a string by itself, in bytes of its text."""
        if (name := self._finder.exact.get(text)) is not None:
            return [Find(0, len(text), 0, len(text), name, text, True)]
        given = _given(leaf, text)
        if not self._finder.occurs(given):
            return []
        offset = len(given) - len(text) - 1
        inside = []
        for find in self._finder.look(given)[0]:
            find.low, find.high = max(find.low - offset, 0), min(find.high - offset, len(text))
            find.start, find.end = max(find.start - offset, 0), min(find.end - offset, len(text))
            find.until = None
            if find.low < find.high:
                inside.append(find)
        return inside

    def _changed(self, leaf: Leaf, raw: bytes, text: bytes) -> bytes | None:
        if leaf.whole:
            return b'"%s"' % self._mint.token("json", text)
        if leaf.signed:
            if self._finder.known.look(text)[0]:
                raise Unmaskable("a known value stands in signed text, which cannot be changed")
            return None
        if not leaf.is_key and (name := self._finder.exact.get(text)) is not None:
            return b'"%s"' % self._mint.token(name, text)
        is_string = raw.startswith(b'"')
        edits = self._nested(text) if is_string and self._may_be_nested(leaf, text) else None
        if edits is None:
            edits = self._flat(leaf, text)
        if not edits:
            return None
        if not is_string:
            return b'"%s"' % edits[0][2]
        inner = raw[1:-1]
        spans = raw_spans(inner, [(start, end) for start, end, _ in edits])
        return b'"%s"' % spliced(inner, [(*span, encoded(new)) for span, (_, _, new) in zip(spans, edits, strict=True)])

    def _flat(self, leaf: Leaf, text: bytes) -> list[Splice]:
        """Returns what to put where in a text that is looked at as it is."""
        given = _given(leaf, text)
        offset = len(given) - len(text) - 1
        end = offset + len(text)
        finds = [find for find in self._finder.look(given)[0] if max(find.start, offset) < min(find.end, end)]
        found = stretches(finds, self._mint, to=end) if finds else []
        return [(max(stretch.start - offset, 0), stretch.end - offset, stretch.token) for stretch in found]

    def _nested(self, text: bytes) -> list[Splice] | None:
        """Returns what to put where in a text that is JSON; None if it is not, or if a known value stands across it."""
        reader = JsonReader()
        reader.buffer += text
        leaves = reader.read(last=True)
        if reader.broken:
            return None
        mint = self._mint.another()
        splices = LeafMask(self._finder, mint, self._depth + 1).splices(text, leaves)
        if self._finder.may_span and self._finder.known.look(spliced(text, splices))[0]:
            return None
        self._mint.add(mint)
        return splices


def is_json(text: bytes) -> bool:
    """Returns whether a text is one value of JSON, as JsonReader reads it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # quicker, and a little stricter
        reader = JsonReader()
        reader.buffer += text
        reader.read(last=True, tell=False)
        return not reader.broken
    return True


def is_container(text: bytes) -> bool:
    """Returns whether a text is an object or array of JSON."""
    return text.lstrip()[:1] in (b"{", b"[") and is_json(text)


def spliced(raw: bytes | bytearray, splices: list[Splice]) -> bytes:
    """Returns the bytes with what is put in the place of others."""
    out: list[bytes | bytearray] = []
    at = 0
    for start, end, new in splices:
        out += [raw[at:start], new]
        at = end
    out.append(raw[at:])
    return b"".join(out)


def _given(leaf: Leaf, text: bytes) -> bytes:
    """Returns what the matcher is shown of a leaf: a value with its key, as in key="value"."""
    return b'%s="%s"' % (leaf.key, text) if leaf.key else b'"%s"' % text

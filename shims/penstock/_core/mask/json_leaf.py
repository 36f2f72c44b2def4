"""Masks one leaf of JSON: a string, key, number or word; looks for JSON inside of strings, too.

In: a leaf with its raw bytes. Out: the raw bytes that take its place, or None if it stays as it is.
"""

from penstock._core.mask.find import Find
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.json_string import decoded, encoded, raw_spans
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import Tracker

__all__ = ["LeafMask"]

GUARD = b"\0"
"""Stands between leaves that are looked through together: no pattern can match it."""
NESTED_DEPTH = 4
"""How deep JSON is looked for inside of strings; below it they are scanned as text."""


class LeafMask:
    """Masks leaves with one finder, under one key."""

    def __init__(self, finder: Finder, mint: Mint, depth: int = 0) -> None:
        self._finder = finder
        self._mint = mint
        self._depth = depth

    def splices(self, source: bytes | bytearray, leaves: list[Leaf]) -> list[tuple[int, int, bytes]]:
        """Returns what to put in the place of which bytes of the source; leaves that stay as they are have no part."""
        if not leaves:
            return []
        raws = [bytes(source[leaf.start : leaf.end]) for leaf in leaves]
        texts = [decoded(raw[1:-1]) if raw.startswith(b'"') else raw for raw in raws]
        nested = [self._may_be_nested(leaf, text) for leaf, text in zip(leaves, texts, strict=True)]
        shown = [_given(leaf, text) for leaf, text, hides in zip(leaves, texts, nested, strict=True) if not hides]
        occurs = self._finder.occurs(GUARD.join(shown))
        found = []
        for leaf, raw, text, hides in zip(leaves, raws, texts, nested, strict=True):
            if occurs or hides or leaf.whole:
                changed = self._changed(leaf, raw, text)
                if changed is not None:
                    found.append((leaf.start, leaf.end, changed))
        return found

    def _may_be_nested(self, leaf: Leaf, text: bytes) -> bool:
        """Returns whether a leaf could hold JSON: then what is in it may not be seen before that is decoded."""
        return not leaf.is_key and self._depth < NESTED_DEPTH and text.lstrip()[:1] in (b"{", b"[")

    def finds(self, leaf: Leaf, text: bytes) -> list[Find]:
        """Returns what is found in a string by itself, in bytes of its text."""
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
            return b'"%s"' % encoded(self._mint.token("json", text))
        if leaf.signed:
            if Tracker(self._finder.known, self._mint).feed(text, last=True):
                raise Unmaskable("a known value stands in signed text, which cannot be changed")
            return None
        if not leaf.is_key and (name := self._finder.exact.get(text)) is not None:
            return b'"%s"' % encoded(self._mint.token(name, text))
        is_string = raw.startswith(b'"')
        if is_string and self._may_be_nested(leaf, text):
            inner = self._nested(text)
            if inner is not None:
                return None if inner is text else b'"%s"' % encoded(inner)
        given = _given(leaf, text)
        if not self._finder.occurs(given):
            return None
        offset = len(given) - len(text) - 1
        spans, tokens = [], []
        for stretch in Tracker(self._finder, self._mint).feed(given, last=True):
            start, end = max(stretch.start - offset, 0), min(stretch.end - offset, len(text))
            if start < end:
                spans.append((start, end))
                tokens.append(encoded(stretch.token))
        if not spans:
            return None
        return b'"%s"' % (_spliced(raw[1:-1], raw_spans(raw[1:-1], spans), tokens) if is_string else tokens[0])

    def _nested(self, text: bytes) -> bytes | None:
        """Returns JSON from inside of a string, masked, the same object if nothing was; None if it is not JSON."""
        reader = JsonReader()
        reader.buffer += text
        leaves = reader.read(last=True)
        if reader.broken:
            return None
        splices = LeafMask(self._finder, self._mint, self._depth + 1).splices(text, leaves)
        if not splices:
            return text
        return _spliced(text, [(start, end) for start, end, _ in splices], [new for _, _, new in splices])


def _spliced(raw: bytes, spans: list[tuple[int, int]], tokens: list[bytes]) -> bytes:
    out = []
    at = 0
    for (start, end), token in zip(spans, tokens, strict=True):
        out += [raw[at:start], token]
        at = end
    out.append(raw[at:])
    return b"".join(out)


def _given(leaf: Leaf, text: bytes) -> bytes:
    """Returns what the matcher is shown of a leaf: a value with its key, as in key="value"."""
    return b'%s="%s"' % (leaf.key, text) if leaf.key else b'"%s"' % text

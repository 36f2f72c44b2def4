"""Masks JSON as it arrives: copies its bytes, and changes only the leaves in which something was found.

In: bytes of one JSON text or of several, cut anywhere. Out: the same with masked leaves, as soon as each is complete.
What is not JSON is scanned as text from where it stops being JSON.
"""

from penstock._core.mask.finder import Finder
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.json_string import decoded, encoded, raw_spans
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import matcher
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import Stretch, TextStream, Tracker

__all__ = ["JsonStream"]

GUARD = b"\0"
"""Stands between leaves that are looked through together: no pattern can match it."""
NESTED_DEPTH = 4
"""How deep JSON is looked for inside of strings; below it they are scanned as text."""


class JsonStream:
    """Masks one JSON body. strict: what is not JSON is refused if there are pointers to follow."""

    def __init__(self, finder: Finder, mint: Mint, pointers: frozenset[str], *, strict: bool, depth: int = 0) -> None:
        self._finder = finder
        self._mint = mint
        self._reader = JsonReader(matcher(pointers))
        self._strict = strict and bool(pointers)
        self._depth = depth
        self._text: TextStream | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next piece; returns what is complete, masked. Raises Unmaskable. last: nothing follows."""
        if self._text is not None:
            return self._text.feed(data, last=last)
        reader = self._reader
        reader.buffer += data
        leaves = reader.read(last=last)
        out = self._masked(leaves)
        reader.drop()
        if reader.broken:
            if self._strict:
                raise Unmaskable("the body is not JSON, so what its JSON pointers name cannot be found")
            self._text = TextStream(self._finder, self._mint)
            out += self._text.feed(bytes(reader.buffer), last=last)
            reader.buffer.clear()
        return out

    def finish(self) -> bytes:
        """Returns the rest."""
        return self.feed(b"", last=True)

    def _masked(self, leaves: list[Leaf]) -> bytes:
        reader = self._reader
        raws = [bytes(reader.buffer[leaf.start : leaf.end]) for leaf in leaves]
        texts = [decoded(raw[1:-1]) if raw[:1] == b'"' else raw for raw in raws]
        if not any(leaf.whole for leaf in leaves):
            scanned = GUARD.join(_given(leaf, text) for leaf, text in zip(leaves, texts, strict=True))
            if not self._finder.occurs(scanned):
                return bytes(reader.buffer[: reader.read_to])
        out = []
        at = 0
        for leaf, raw, text in zip(leaves, raws, texts, strict=True):
            changed = self._leaf(leaf, raw, text)
            if changed is not None:
                out.append(bytes(reader.buffer[at : leaf.start]))
                out.append(changed)
                at = leaf.end
        out.append(bytes(reader.buffer[at : reader.read_to]))
        return b"".join(out)

    def _leaf(self, leaf: Leaf, raw: bytes, text: bytes) -> bytes | None:
        """Returns what stands in the place of a leaf, None if it stays as it is."""
        if leaf.whole:
            return b'"%s"' % encoded(self._mint.token("json", text))
        if not leaf.is_key and (name := self._finder.short.get(text)) is not None:
            return b'"%s"' % encoded(self._mint.token(name, text))
        is_string = raw[:1] == b'"'
        if is_string and not leaf.is_key and self._depth < NESTED_DEPTH and text.lstrip()[:1] in (b"{", b"["):
            inner = JsonStream(self._finder, self._mint, frozenset(), strict=False, depth=self._depth + 1)
            masked = inner.feed(text, last=True)
            return None if masked == text else b'"%s"' % encoded(masked)
        given = _given(leaf, text)
        if not self._finder.occurs(given):
            return None
        offset = len(given) - len(text) - 1
        stretches = [s for s in Tracker(self._finder, self._mint).feed(given, last=True) if s.end > offset]
        if not stretches:
            return None
        if not is_string:
            return b'"%s"' % encoded(stretches[0].token)
        spans = [(max(s.start - offset, 0), min(s.end - offset, len(text))) for s in stretches]
        return b'"%s"' % _spliced(raw[1:-1], spans, stretches)


def _spliced(raw: bytes, spans: list[tuple[int, int]], stretches: list[Stretch]) -> bytes:
    out = []
    at = 0
    for (start, end), stretch in zip(raw_spans(raw, spans), stretches, strict=True):
        out += [raw[at:start], encoded(stretch.token)]
        at = end
    out.append(raw[at:])
    return b"".join(out)


def _given(leaf: Leaf, text: bytes) -> bytes:
    """Returns what the matcher is shown of a leaf: a value with its key, as in key="value"."""
    return b'%s="%s"' % (leaf.key, text) if leaf.key else b'"%s"' % text

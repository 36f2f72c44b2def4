"""Masks the values of header fields and start lines, many of them at once.

In: fields, and the masker of an upstream. Out: the same fields, values masked. Most heads repeat what former ones had,
so that what was found clean is remembered, a bounded number of texts, as long as the masker itself.
"""

from collections.abc import Sequence

from penstock._core.mask import Masker
from penstock._core.verdict import MaskSpec

__all__ = ["FieldMask", "Fields"]

Fields = tuple[tuple[str, bytes], ...]
"""Field lines: lower-case name and value."""

MEMO_TEXTS = 1024
"""Texts that are remembered as clean."""
MEMO_BYTES = 2048
"""Longest of them, bytes."""


class FieldMask:
    """Holds a masker, and the headers that it masks whole."""

    def __init__(self, masker: Masker, spec: MaskSpec) -> None:
        self.masker = masker
        self._named = spec.headers
        self._clean: set[bytes] = set()

    def mask(self, fields: Fields, key: bytes, counts: dict[str, int]) -> Fields:
        """Returns the fields with masked values, and adds what was masked to the counts. Raises Unmaskable."""
        if not fields or not self.masker.active:
            return fields
        if not (self._named and any(name in self._named for name, _ in fields)) and self._is_clean(fields, key):
            return fields
        masked = []
        for name, value in fields:
            if name and self.masker.text(name.encode(), key=key, place="name").counts:
                continue  # a name can carry a secret too, and cannot be replaced
            found = self.masker.text(value, key=key, place=f"header:{name}")
            masked.append((name, found.data))
            for kind, count in found.counts.items():
                counts[kind] = counts.get(kind, 0) + count
        return tuple(masked)

    def _is_clean(self, fields: Sequence[tuple[str, bytes]], key: bytes) -> bool:
        """Returns whether no value holds anything to be masked: one scan, in which line ends part the values."""
        joined = b"\n".join([name.encode() + b"\n" + value for name, value in fields])
        if joined in self._clean:
            return True
        if self.masker.text(joined, key=key, place="fields").counts:
            return False
        if len(joined) <= MEMO_BYTES:
            if len(self._clean) >= MEMO_TEXTS:
                self._clean.clear()
            self._clean.add(joined)
        return True

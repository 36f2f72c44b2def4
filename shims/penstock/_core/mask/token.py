"""Makes what stands in place of a masked value: «kind:XXXXXXXXXX», the same for the same value under the same key.

In: kinds and values. Out: UTF-8 bytes, and a count per kind. It is keyed, because a plain hash of a short value can be
guessed.
"""

import base64
import hashlib
import hmac
import re
from functools import lru_cache

__all__ = ["Mint"]

CHARACTERS = 10
"""Base32 characters of the MAC that are shown: 50 bits, enough to tell two values apart."""
_CLOSING = "»".encode()
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Mint:
    """Makes tokens under one key and counts them; `counts` maps a kind to how often it was masked."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.counts: dict[str, int] = {}

    def another(self) -> "Mint":
        """Returns a mint with the same key that has counted nothing yet."""
        return Mint(self._key)

    def add(self, other: "Mint") -> None:
        """Counts what another has counted."""
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count

    def token(self, kind: str, value: bytes) -> bytes:
        """Returns the token for the value and counts it; it is safe inside of JSON strings, markup and headers."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        mac = base64.b32encode(hmac.digest(self._key, value, hashlib.sha256)[:7])[:CHARACTERS]
        return _opening(kind) + mac + _CLOSING


@lru_cache(maxsize=1024)
def _opening(kind: str) -> bytes:
    return f"«{_UNSAFE.sub('_', kind)}:".encode()

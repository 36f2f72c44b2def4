"""Masks once more, with every stored secret, whatever the service stores or shows."""

from collections.abc import Iterable

from penstock._core.describe import Action
from penstock._core.mask import Masker, Unmaskable
from penstock._core.mask.detectors import all_detectors
from penstock._core.verdict import KnownValue, MaskSpec

__all__ = ["Redactor"]

SHOWN_BODY_BYTES = 65536
"""How much of a body reviewers and auditors are shown, bytes; the digest covers all of it."""

ENDLESS = frozenset(detector.id for detector in all_detectors() if detector.until)
"""Kinds of secrets that go on until something ends them."""

CLEAN_TEXTS = 4096
"""Texts in which nothing was found and that are remembered: paths repeat."""
CLEAN_CHARACTERS = 256
"""Longest of them, characters."""

UNREADABLE = "[not shown: binary]"
"""What stands for content that no masker can read."""


class Redactor:
    """Masks text and bytes with all stored secrets and the detectors of credentials; holds no state between calls."""

    def __init__(self, secrets: tuple[tuple[str, bytes], ...]) -> None:
        self._masker = Masker([KnownValue(name, value) for name, value in secrets], MaskSpec(frozenset({"secrets"})))
        self._clean: set[str] = set()

    def text(self, value: str, key: bytes) -> str:
        """Returns the text with secrets replaced by their tokens; what cannot be masked is not shown at all."""
        if value in self._clean:
            return value
        try:
            masked = self._masker.text(value.encode(), key=key, place="text")
            if masked.counts:
                return masked.data.decode()
        except (Unmaskable, UnicodeError):
            return UNREADABLE
        if len(value) <= CLEAN_CHARACTERS:
            if len(self._clean) >= CLEAN_TEXTS:
                self._clean.clear()
            self._clean.add(value)
        return value

    def finds_nothing(self, pieces: Iterable[bytes]) -> bool:
        """Returns whether one scan over all of them, parted by line ends, finds nothing to mask in any."""
        try:
            return not self._masker.text(b"\n".join(pieces), key=b"", place="frames").counts
        except Unmaskable:
            return False

    def headers(self, headers: tuple[tuple[str, bytes], ...], key: bytes) -> tuple[tuple[str, bytes], ...]:
        """Returns the headers with secrets replaced; a value that cannot be masked is not shown."""
        shown = []
        for name, value in headers:
            try:
                shown.append((name, self._masker.text(value, key=key, place=f"header:{name}").data))
            except Unmaskable:
                shown.append((name, UNREADABLE.encode()))
        return tuple(shown)

    def body(self, body: bytes, content_type: str, content_encoding: str, key: bytes) -> bytes:
        """Returns the masked body; what cannot be masked is not shown at all, and what is cut off is counted."""
        try:
            masked = bytes(self._masker.whole(content_type, content_encoding, body, key=key).data)
        except Unmaskable:
            return UNREADABLE.encode()
        rest = len(masked) - SHOWN_BODY_BYTES
        return masked if rest <= 0 else masked[:SHOWN_BODY_BYTES] + f"\n[{rest} more bytes are not shown]".encode()

    def hides(self, action: Action) -> str:
        """Returns why a reviewer could not see all of what the action does, in one line; "" if nothing is hidden.

        Secrets of a bounded form do not count: a token stands in their place, and nothing else fits behind it.
        """
        http = action.http
        try:
            headers = dict(http.headers)
            body = self._masker.whole(
                headers.get("content-type", b"").decode("latin-1"),
                headers.get("content-encoding", b"").decode("latin-1"),
                http.body,
                key=b"",
            )
            texts = [http.path, http.query, *[value.decode("latin-1") for _, value in http.headers]]
            found = {*body.counts, *self._masker.text("\n".join(texts).encode(), key=b"", place="text").counts}
        except (Unmaskable, UnicodeError):
            return "it cannot be shown as text"
        if len(body.data) > SHOWN_BODY_BYTES:
            return f"its body has over {SHOWN_BODY_BYTES} bytes"
        return "it holds a key or token whose end could hide anything" if found & ENDLESS else ""

    def plain(self, body: bytes, key: bytes) -> bytes:
        """Returns bytes of unknown type with secrets replaced; what cannot be masked is not kept."""
        try:
            return bytes(self._masker.text(body, key=key, place="body").data)
        except Unmaskable:
            return UNREADABLE.encode()

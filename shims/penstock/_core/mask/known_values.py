"""Spells a stored secret in the encodings in which an answer may carry it.

In: the exact bytes of a secret. Out: literals to search for. Source of the list: what clients and servers do to values
(JSON, URLs, XML, shells, Basic credentials, hex dumps).
"""

import base64
import json
import urllib.parse
from collections.abc import Iterator
from xml.sax.saxutils import escape

__all__ = ["MIN_ANYWHERE", "spellings"]

MIN_ANYWHERE = 8
"""Bytes from which on a value is masked anywhere; shorter ones only where they are a whole JSON string."""
MIN_LITERAL = 8
"""Bytes of the shortest encoded form that is searched for: shorter ones would hit by chance."""


def spellings(value: bytes) -> frozenset[bytes]:
    """Returns every literal that stands for the value, itself included; empty if it is shorter than MIN_ANYWHERE."""
    found: set[bytes] = set()
    for part in _parts(value):
        found.update(form for form in _forms(part) if len(form) >= MIN_LITERAL)
    return frozenset(found)


def _parts(value: bytes) -> Iterator[bytes]:
    """Yields the value and, if it has several lines, each line that is long enough and no PEM boundary."""
    if len(value) < MIN_ANYWHERE:
        return
    yield value
    stripped = value.strip()
    if stripped != value and len(stripped) >= MIN_ANYWHERE:
        yield stripped
    lines = stripped.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= MIN_ANYWHERE and not line.startswith(b"-----"))


def _forms(value: bytes) -> Iterator[bytes]:
    yield value
    for hexed in (value.hex(), value.hex().upper()):
        yield hexed.encode()
    yield from _base64_forms(value)
    yield from _percent_forms(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    for once in _json_forms(text):
        yield once.encode()
        yield from (twice.encode() for twice in _json_forms(once))
    yield escape(text).encode()
    yield escape(text, {'"': "&quot;", "'": "&#39;"}).encode()
    yield escape(text, {'"': "&#34;", "'": "&apos;"}).encode()
    yield text.replace("'", "'\\''").encode()


def _json_forms(text: str) -> set[str]:
    """Returns the insides of the JSON strings for the text: ASCII or not, with the slash escaped or not."""
    plain = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return plain | {form.replace("/", "\\/") for form in plain}


def _percent_forms(value: bytes) -> Iterator[bytes]:
    for form in (
        urllib.parse.quote_from_bytes(value, safe=""),
        urllib.parse.quote_from_bytes(value),
        urllib.parse.quote_plus(value),
    ):
        yield form.encode()
        yield _lower_escapes(form).encode()


def _lower_escapes(form: str) -> str:
    head, *rest = form.split("%")
    return "%".join([head, *(piece[:2].lower() + piece[2:] for piece in rest)])


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """Yields the characters that only the value decides, for each place at which it may begin in a group of three."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value)
        first = (before * 8 + 5) // 6
        bits = (before + len(value)) * 8
        stable = encoded[first : bits // 6]
        yield stable
        yield stable.replace(b"+", b"-").replace(b"/", b"_")

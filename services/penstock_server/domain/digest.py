"""The digest that binds an approval to one exact action: who, where and what, and nothing that a retry changes.

Encoding, version 1: SHA-256 over PREFIX and then one field after the other, each as its length (8 bytes, big-endian)
and its bytes; a list is its count (8 bytes) and its items. So no two different sequences of fields encode alike.
Fields: issuer, subject, owner, delegator, upstream, method, authority, path, query, headers, body.

Headers: every forwarded one, except the neutral list below, sorted by name; values of one name stay in order. Groups
and sessions are not bound: they may change between the approval and its use, and the client chooses the session.

Body: a tag and bytes: "none", "raw" with the body as it is, or "json" with its RFC 8785 form. The latter is taken only
if the content-type says JSON, the text is strict JSON, and every number survives a round trip through a double, so
that two texts with the same digest mean the same to every parser. Omitted, null and "" differ.
"""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from penstock._core.describe import Action, BodyState
from penstock_server.domain.approval import Person
from penstock_server.domain.strict_json import UnreadableJsonError, parse_json, require_plain_json

__all__ = ["NEUTRAL_HEADERS", "NEUTRAL_PREFIXES", "action_digest", "canonical_body"]

PREFIX = b"penstock action digest v1\x00"
"""Separates this digest from every other hash; the version is bumped with the encoding."""

NEUTRAL_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "user-agent",
        "x-claude-code-session-id",
        "x-correlation-id",
        "x-request-id",
    }
)
"""Headers that may differ between the approved request and the one that redeems; they do not say what is done."""

NEUTRAL_PREFIXES = ("x-stainless-",)
"""Prefixes of neutral headers: retry counters and platform facts that generated SDKs send."""


_MAX_NUMBER_CHARACTERS = 32
"""Longest literal that is looked at; the shortest text of any double has at most 25."""


_EXACT_DIGITS = 15
_EXACT_BELOW = 2**53
_LAST_BEFORE_SURROGATES = "\ud7ff"


def action_digest(person: Person, action: Action) -> bytes:
    """Returns 32 bytes. Raises ValueError if the body is withheld: an approval binds the whole of it."""
    http = action.http
    digest = hashlib.sha256(PREFIX)
    for text in (
        *(person.issuer, person.subject, person.owner, person.delegator),
        *(action.upstream, http.method, http.authority, http.path, http.query),
    ):
        _put(digest, text.encode("utf-8", "surrogatepass"))
    headers = sorted([header for header in http.headers if not _neutral(header[0])], key=lambda header: header[0])
    digest.update(len(headers).to_bytes(8, "big"))
    for name, value in headers:
        _put(digest, name.encode("utf-8", "surrogatepass"))
        _put(digest, value)
    tag, body = canonical_body(action)
    _put(digest, tag)
    _put(digest, body)
    return digest.digest()


def canonical_body(action: Action) -> tuple[bytes, bytes]:
    """Returns (tag, bytes) of the body as the digest binds it. Raises ValueError if it is withheld."""
    http = action.http
    if http.body_state is BodyState.WITHHELD:
        raise ValueError("a withheld body has no digest")
    if http.body_state is BodyState.NONE:
        return b"none", b""
    if not _says_json(http.headers):
        return b"raw", http.body
    numbers = _Numbers()
    try:
        require_plain_json(http.headers)
        value = parse_json(http.body, parse_number=numbers.read)
    except UnreadableJsonError:
        return b"raw", http.body
    if not numbers.fractional:
        # The standard library is fifty times faster, and right where code points sort as UTF-16 code units do.
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if text.isascii() or max(text) <= _LAST_BEFORE_SURROGATES:
            return b"json", text.encode()
    return b"json", _rfc8785(value).encode()


def _put(digest: Any, field: bytes) -> None:
    """Adds one length-prefixed field."""
    digest.update(len(field).to_bytes(8, "big"))
    digest.update(field)


def _neutral(name: str) -> bool:
    """Returns whether a header is not bound."""
    return name in NEUTRAL_HEADERS or name.startswith(NEUTRAL_PREFIXES)


def _says_json(headers: tuple[tuple[str, bytes], ...]) -> bool:
    """Returns whether there is one content-type and it is application/json or ends in +json."""
    types = [value.partition(b";")[0].strip().lower() for name, value in headers if name == "content-type"]
    return len(types) == 1 and (types[0] == b"application/json" or types[0].endswith(b"+json"))


class _Numbers:
    """Reads numbers of one body, and remembers whether any is not a whole one below 2^53."""

    def __init__(self) -> None:
        self.fractional = False

    def read(self, literal: str) -> float:
        """Returns the number, an int if it is a whole one below 2^53.

        Raises UnreadableJsonError if a double would change it, or for a negative zero.
        """
        if len(literal) <= _EXACT_DIGITS and literal.isdigit():
            return int(literal)
        value = float(literal)
        try:
            exact = len(literal) <= _MAX_NUMBER_CHARACTERS and Decimal(literal) == Decimal(repr(value))
        except InvalidOperation:
            exact = False
        if not exact or (value == 0 and literal[0] == "-"):
            raise UnreadableJsonError("a number that a double would change")
        if value.is_integer() and abs(value) < _EXACT_BELOW:
            return int(value)
        self.fractional = True
        return value


def _rfc8785(value: Any) -> str:
    """Returns the canonical text of a value whose numbers are all exact doubles."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_rfc8785(key)}:{_rfc8785(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_rfc8785, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _ecmascript(float(value))
    return json.dumps(value, ensure_ascii=False)


def _ecmascript(value: float) -> str:
    """Returns a finite double as ECMAScript's Number::toString does (ECMA-262, 6.1.6.1.20)."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    point = len(text) + exponent
    if 0 < point <= 21:
        body = text + "0" * (point - len(text)) if point >= len(text) else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        body = f"0.{'0' * -point}{text}"
    else:
        mantissa = text if len(text) == 1 else f"{text[0]}.{text[1:]}"
        body = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"-{body}" if sign else body

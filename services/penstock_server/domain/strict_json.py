"""Strict JSON (RFC 8259 and I-JSON, RFC 7493): what every parser reads the same way, or nothing."""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Never

__all__ = ["MAX_DEPTH", "UnreadableJsonError", "parse_json", "require_plain_json"]

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects; protobuf's JSON parser stops at 100, .NET's at 64."""

_INT64 = range(-(2**63), 2**63)
_MAX_INTEGER_CHARACTERS = 20
_LONG_INTEGER = re.compile(r"[0-9]{19}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class UnreadableJsonError(ValueError):
    """Says what kind of thing makes a body unreadable, without any of its content."""


def parse_json(body: bytes, *, parse_number: Callable[[str], float] | None = None) -> Any:
    """Returns the value of a body of UTF-8 JSON text. parse_number reads every number's literal instead, if given.

    Raises UnreadableJsonError for duplicate keys (also those that differ in case only), NaN, Infinity and numbers that
    overflow a double, integers beyond int64, unpaired surrogates, invalid UTF-8, a byte order mark, trailing text and
    nesting deeper than MAX_DEPTH.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise UnreadableJsonError("invalid UTF-8") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=parse_number or (_integer if _LONG_INTEGER.search(text) else None),
            parse_float=parse_number or _double,
        )
    except UnreadableJsonError:
        raise
    except (ValueError, RecursionError):
        raise UnreadableJsonError("not JSON") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _too_deep(value):
        raise UnreadableJsonError(f"nested deeper than {MAX_DEPTH}")
    if _SURROGATE.search(text) and _unpaired(value):
        raise UnreadableJsonError("an unpaired surrogate")
    return value


def require_plain_json(headers: tuple[tuple[str, bytes], ...]) -> None:
    """Raises UnreadableJsonError where the headers say that the upstream may read other text than UTF-8 bytes."""
    types = [value for name, value in headers if name == "content-type"]
    if len(types) != 1:
        raise UnreadableJsonError("more than one content-type" if types else "no content-type")
    media, *parameters = types[0].lower().split(b";")
    if media.strip() != b"application/json" and not media.strip().endswith(b"+json"):
        raise UnreadableJsonError("a content-type other than JSON")  # the upstream may read a form where we read JSON
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        charset = value.strip().strip(b"\"'")
        if name.strip().startswith(b"charset") and charset not in {b"utf-8", b"utf8", b"us-ascii"}:
            raise UnreadableJsonError("a charset other than UTF-8")
    if any(name == "content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
        raise UnreadableJsonError("a content-encoding")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object; raises on a duplicate key."""
    value = dict(pairs)
    if len(value) != len(pairs) or len({key.casefold() for key in value}) != len(pairs):
        raise UnreadableJsonError("a duplicate key")  # some parsers tell "amount" and "Amount" apart, some do not
    return value


def _constant(name: str) -> Never:
    raise UnreadableJsonError(f"{name} is not JSON")


def _integer(literal: str) -> int:
    """Returns an int64."""
    if len(literal) > _MAX_INTEGER_CHARACTERS or (value := int(literal)) not in _INT64:
        raise UnreadableJsonError("an integer beyond 64 bits")
    return value


def _double(literal: str) -> float:
    """Returns a finite double."""
    value = float(literal)
    if not math.isfinite(value):
        raise UnreadableJsonError("a number that overflows a double")
    return value


def _too_deep(value: Any) -> bool:
    """Returns whether arrays and objects are nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _unpaired(value: Any) -> bool:
    """Returns whether any string in the value holds an unpaired surrogate."""
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(_unpaired(key) or _unpaired(item) for key, item in value.items())
    return isinstance(value, list) and any(_unpaired(item) for item in value)

"""Derives, from a pattern, the pattern of everything that more text could still turn into a match.

In: a pattern in the common part of Python's re and re2. Out: a re2 pattern for its prefixes, and its longest width.
It is what lets a stream release text at once: only a live prefix at the end of the text must be held back.

The prefixes are a superset: repeats that go far are taken to go on for ever, which holds a few bytes for longer and
keeps the automaton small (exact counts make it a thousand times slower).
"""

import importlib
from typing import Any

__all__ = ["prefixes", "width"]

EXACT_REPEATS = 4
"""Repeats up to which a count is kept."""

_parser: Any = importlib.import_module("re._parser")
_UNBOUNDED = 1 << 16
_PLACES = {"AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}


def width(pattern: str) -> int:
    """Returns the longest match in bytes; raises ValueError for a pattern without a bound."""
    widest = int(_parser.parse(pattern).getwidth()[1])
    if widest >= _UNBOUNDED:
        raise ValueError("the pattern has no longest match")
    return widest


def prefixes(pattern: str) -> str:
    """Returns a re2 pattern that matches every prefix of every match, the empty one and the whole match included."""
    parsed = _parser.parse(pattern)
    ignore_case = "(?i)" if pattern.startswith("(?i)") else ""
    return f"(?:{ignore_case}{_sequence_prefix(list(parsed))})"


def _sequence_prefix(items: list[Any]) -> str:
    """Returns the prefixes of a sequence: those of its first item, or that item whole and a prefix of the rest."""
    result = ""
    for item in reversed(items):
        first, whole = _item_prefix(item), _item(item)
        result = f"(?:{whole}{result}|{first})" if first else f"(?:{whole}{result})?"
    return result


def _item_prefix(item: Any) -> str:
    """Returns the prefixes of one item, "" if only the empty one is not the whole."""
    kind, value = str(item[0]), item[1]
    if kind in ("LITERAL", "NOT_LITERAL", "IN", "AT"):
        return ""
    if kind == "SUBPATTERN":
        return _sequence_prefix(list(value[3]))
    if kind == "BRANCH":
        return "(?:" + "|".join(_sequence_prefix(list(branch)) for branch in value[1]) + ")"
    if kind == "MAX_REPEAT":
        _, most, inner = value
        return _repeat(list(inner), 0, int(most)) + _sequence_prefix(list(inner))
    raise ValueError(f"{kind} is not part of the patterns that detectors may use")


def _sequence(items: list[Any]) -> str:
    return "".join(_item(item) for item in items)


def _item(item: Any) -> str:
    """Returns one item as a re2 pattern without groups."""
    kind, value = str(item[0]), item[1]
    if kind == "LITERAL":
        return _byte(value)
    if kind == "NOT_LITERAL":
        return f"[^{_byte(value)}]"
    if kind == "IN":
        return _class(value)
    if kind == "AT" and str(value) in _PLACES:
        return _PLACES[str(value)]
    if kind == "SUBPATTERN":
        return f"(?:{_sequence(list(value[3]))})"
    if kind == "BRANCH":
        return "(?:" + "|".join(_sequence(list(branch)) for branch in value[1]) + ")"
    if kind == "MAX_REPEAT":
        least, most, inner = value
        return _repeat(list(inner), int(least), int(most))
    raise ValueError(f"{kind} is not part of the patterns that detectors may use")


def _repeat(inner: list[Any], least: int, most: int) -> str:
    count = "*" if most > EXACT_REPEATS else f"{{{least},{most}}}"
    return f"(?:{_sequence(inner)}){count}"


def _class(members: list[Any]) -> str:
    """Returns a character class."""
    inside = ""
    for kind, value in members:
        if str(kind) == "NEGATE":
            inside += "^"
        elif str(kind) == "LITERAL":
            inside += _byte(value)
        elif str(kind) == "RANGE":
            inside += f"{_byte(value[0])}-{_byte(value[1])}"
        else:
            raise ValueError(f"{kind} is not part of the classes that detectors may use")
    return f"[{inside}]"


def _byte(value: int) -> str:
    if value > 127:
        raise ValueError("detectors may only name ASCII characters: text is scanned as bytes")
    return chr(value) if chr(value).isalnum() else f"\\x{{{value:02x}}}"

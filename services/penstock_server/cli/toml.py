"""Writes the little TOML that dev needs; the standard library only reads it."""

import json
from collections.abc import Mapping, Sequence

__all__ = ["Entries", "toml"]

Entries = Mapping[str, str | bool | Sequence[str]]
"""What can be written."""


def toml(content: Entries) -> str:
    """Returns one `key = value` line an entry. Keys must be bare TOML keys."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in content.items())


def _value(value: str | bool | Sequence[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    return "[" + ", ".join(_string(item) for item in value) + "]"


def _string(value: str) -> str:
    # A JSON string is a TOML basic string once DEL is escaped, and no character is left as a surrogate pair.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""What people read: safe text, times, aligned tables; and what programs read: messages as JSON."""

import json
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message

__all__ = ["json_line", "json_value", "printable", "table", "utc"]

UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are escaped: an agent's path must not move the cursor or reverse the line of a terminal."""


def printable(text: str) -> str:
    """Returns the text on one line, with control and direction characters written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in UNPRINTABLE else character
        for character in text
    )


def utc(at_ms: int) -> str:
    """Returns UTC milliseconds as "2026-01-31 12:00:00.123Z", or "-" for 0 and for what no calendar holds."""
    if at_ms <= 0:
        return "-"
    try:
        moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return "-"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}Z"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns lines with aligned columns, two spaces apart; an empty cell is "-"."""
    cells = [[name.upper() for name in head], *([printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def json_value(message: Message) -> dict[str, Any]:
    """Returns all fields of a message by name: bytes in hex, enumerations by name, absent messages as None."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def json_line(value: Any) -> str:
    """Returns one line of ASCII JSON, so that what is printed is safe on a terminal too."""
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_one(item, field) for item in value]
    if field.message_type is not None and not message.HasField(field.name):
        return None
    return _one(value, field)


def _one(value: Any, field: Any) -> Any:
    if isinstance(value, Message):
        return json_value(value)
    if isinstance(value, bytes):
        return value.hex()
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else int(value)
    return value

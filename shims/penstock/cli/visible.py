"""Shows text from agents so that it cannot lie: what a terminal hides, reorders or obeys is written as <U+202E>."""

import re
import unicodedata

__all__ = ["json_lines", "visible"]

MAX_INDENTED = 1024 * 1024
"""Longest text that is indented, characters; longer JSON is shown as it is."""
MAX_DEPTH = 64
"""Deepest nesting that is indented: indentation costs depth times lines, and the author is an agent."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode general categories (UAX 44) that are invisible, obeyed or meaningless: controls, formats, separators."""
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Letters and marks that are drawn as nothing (Default_Ignorable_Code_Point of DerivedCoreProperties.txt)."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def visible(text: str, keep: str = "") -> str:
    """Replaces every character that cannot be trusted on a terminal, those in `keep` excepted."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character in keep else _shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    hidden = category in _HIDDEN or (category == "Zs" and character != " ") or _BLANK.match(character)
    return f"<U+{ord(character):04X}>" if hidden else character


def json_lines(text: str) -> list[str] | None:
    """Indents JSON without changing any of its tokens: keys may repeat, numbers keep their form.

    Returns None if the text is no JSON, longer than MAX_INDENTED or nested deeper than MAX_DEPTH.
    """
    import json

    if len(text) > MAX_INDENTED:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    lines: list[str] = [""]
    depth = 0
    before = ""
    for piece in _TOKEN.findall(text):
        if piece in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                lines.append("  " * depth)
        elif before in ("{", "["):
            lines.append("  " * depth)
        lines[-1] += piece + (" " if piece == ":" else "")
        if piece in ("{", "["):
            depth += 1
            if depth > MAX_DEPTH:
                return None
        elif piece == ",":
            lines.append("  " * depth)
        before = piece
    return lines

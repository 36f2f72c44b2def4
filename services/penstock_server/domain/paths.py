"""Path templates of rules: "/a/{id}/*/**", matched segment by segment against canonical paths.

Both sides are canonical percent-encoded text, so nothing is decoded here: a template is compared as it is written.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from penstock._core.canonical import BARE, SAME_BARE

__all__ = ["PathTemplate", "compile_path"]

MAX_TEMPLATE_CHARACTERS = 2048
"""Longest template; request heads are bounded far below what could match a longer one."""

_NOTHING: dict[str, str] = {}
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LITERAL = re.compile(rf"(?:[{BARE}]|%[0-9A-F]{{2}})*")
_SAME_BARE = re.compile(f"[{SAME_BARE}]".encode())


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """Matches paths. literals: one per segment, None for any one; names: (index, name) of captured segments."""

    source: str
    literals: tuple[str | None, ...]
    names: tuple[tuple[int, str], ...]
    rest: bool

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Returns captured segments by name (percent-encoded, as in the path), or None if the path does not fit.

        segments: `path.split("/")[1:]`, made once per request. A captured segment and "*" are never empty, and "**"
        fits any rest, an empty one included: "/a/**" fits "/a/" and "/a/b/c", and also "/a".
        """
        literals = self.literals
        size = len(literals)
        if len(segments) != size and not (self.rest and len(segments) > size):
            return None
        for literal, segment in zip(literals, segments, strict=False):
            if literal is None:
                if not segment:
                    return None
            elif literal != segment:
                return None
        return {name: segments[index] for index, name in self.names} if self.names else _NOTHING


def compile_path(source: str) -> PathTemplate:
    """Returns the template. Raises ValueError with one line that says what is wrong."""
    if not source.startswith("/"):
        raise ValueError('a path must start with "/"')
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise ValueError(f"a path may have at most {MAX_TEMPLATE_CHARACTERS} characters")
    segments = source[1:].split("/")
    rest = segments[-1] == "**"
    if rest:
        segments.pop()
    literals: list[str | None] = []
    names: list[tuple[int, str]] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1 and not rest
        literal, name = _segment(segment, last=last)
        if name and any(name == other for _, other in names):
            raise ValueError(f"the parameter {{{name}}} occurs twice")
        if name:
            names.append((index, name))
        literals.append(literal)
    return PathTemplate(source, tuple(literals), tuple(names), rest)


def _segment(segment: str, *, last: bool) -> tuple[str | None, str]:
    """Returns (literal or None, parameter name or ""); raises ValueError for what no canonical path can contain."""
    if segment == "*":
        return None, ""
    if segment == "**":
        raise ValueError('"**" may only be the last segment')
    parameter = _PARAMETER.fullmatch(segment)
    if parameter:
        return None, parameter[1]
    if "{" in segment or "}" in segment or "*" in segment:
        raise ValueError(f'a parameter or wildcard must be a whole segment: "{segment}"')
    if not segment and not last:
        raise ValueError('an empty segment ("//") never occurs in a canonical path')
    if segment in {".", ".."}:
        raise ValueError(f'the segment "{segment}" never occurs in a canonical path')
    if not _LITERAL.fullmatch(segment):
        raise ValueError(f'"{segment}" is not in canonical form: percent-encode it, with upper-case hex digits')
    for escape in re.findall("%[0-9A-F]{2}", segment):
        octet = unquote_to_bytes(escape)
        if _SAME_BARE.fullmatch(octet) or octet in {b"/", b"\\", b"\x00"}:
            raise ValueError(f'"{escape}" never occurs in a canonical path')
    return segment, ""

"""Reads nodes as what the schema expects, and collects every problem instead of stopping at the first."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from penstock_server.domain.errors import FieldProblem

__all__ = ["MAX_PROBLEMS", "Field", "Problems"]

MAX_PROBLEMS = 100
"""Most problems that one answer lists; a document with more is fixed in more than one step."""

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_INTEGER = re.compile(r"[0-9]{1,9}")
_STR = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Problems:
    """Collects problems with their lines."""

    found: list[tuple[int, FieldProblem]] = field(default_factory=list)

    def add(self, line: int, where: str, what: str) -> None:
        """Notes one."""
        self.found.append((line, FieldProblem(where, what)))

    def by_line(self) -> tuple[FieldProblem, ...]:
        """Returns the first MAX_PROBLEMS, in the order of the document."""
        return tuple(problem for _, problem in sorted(self.found, key=lambda one: one[0])[:MAX_PROBLEMS])


@dataclass(frozen=True, slots=True)
class Field:
    """Holds one node with its path, such as "rules[2].when". Every reader returns None after noting a problem."""

    path: str
    node: yaml.Node
    problems: Problems

    @property
    def line(self) -> int:
        """Returns the line, from 1."""
        return int(self.node.start_mark.line) + 1

    def refuse(self, what: str) -> None:
        """Notes a problem with this field."""
        where = f"{self.path} (line {self.line})" if self.path else f"line {self.line}"
        self.problems.add(self.line, where, what)

    def mapping(self, known: Iterable[str], reserved: Mapping[str, str] | None = None) -> dict[str, "Field"] | None:
        """Returns the fields by key; unknown, reserved and duplicate keys are problems and left out."""
        fields = self.entries("keys")
        if fields is None:
            return None
        known = tuple(known)
        result = {}
        for key, child in fields.items():
            if key in known:
                result[key] = child
            elif reserved and key in reserved:
                child.refuse(reserved[key])
            else:
                nearest = difflib.get_close_matches(key, known, 1, 0.5)
                hint = f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(known)}"
                child.refuse(f'unknown key "{_short(key)}"; {hint}')
        return result

    def entries(self, what: str) -> dict[str, "Field"] | None:
        """Returns the fields of a mapping whose keys are free. what: names the keys, for the complaint."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"must be a mapping of {what}, not {_kind(self.node)}")
            return None
        result: dict[str, Field] = {}
        for key_node, value_node in self.node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _STR:
                Field(self.path, key_node, self.problems).refuse("a key must be text; merge keys are not allowed")
                continue
            key = str(key_node.value)
            path = f"{self.path}.{_short(key)}" if self.path else _short(key)
            child = Field(path, value_node, self.problems)
            if key in result:
                Field(path, key_node, self.problems).refuse(f"the key occurs twice, first in line {result[key].line}")
            else:
                result[key] = child
        return result

    def items(self, *, may_be_empty: bool = False) -> list["Field"] | None:
        """Returns the items of a list; an empty one, which a reader may take for "none" or for "all", must be meant."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse(f"must be a list, not {_kind(self.node)}")
            return None
        if not (self.node.value or may_be_empty):
            self.refuse("may not be an empty list; leave the key out")
            return None
        return [Field(f"{self.path}[{index}]", node, self.problems) for index, node in enumerate(self.node.value)]

    def texts(self, *, may_be_empty: bool = False) -> list[tuple["Field", str]]:
        """Returns the texts of a list with their fields; no two may be equal."""
        result: dict[str, Field] = {}
        for item in self.items(may_be_empty=may_be_empty) or ():
            text = item.text()
            if text is not None and text in result:
                item.refuse(f'"{_short(text)}" is listed twice')
            elif text is not None:
                result[text] = item
        return [(item, text) for text, item in result.items()]

    def text(self) -> str | None:
        """Returns text that is not empty."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.refuse(f"must be text, not {_kind(self.node)}")
            return None
        if self.node.tag != _STR:
            self.refuse(f'must be text; write "{_short(self.node.value)}" in quotes')
            return None
        if not self.node.value:
            self.refuse("may not be empty")
            return None
        return str(self.node.value)

    def matching(self, pattern: re.Pattern[str], what: str) -> str | None:
        """Returns text that the pattern fits as a whole. what: completes "must be ..."."""
        text = self.text()
        if text is not None and not pattern.fullmatch(text):
            self.refuse(f'must be {what}, not "{_short(text)}"')
            return None
        return text

    def choice(self, allowed: Iterable[str]) -> str | None:
        """Returns one of the allowed texts."""
        text = self.text()
        allowed = tuple(allowed)
        if text is not None and text not in allowed:
            self.refuse(f'must be one of {", ".join(allowed)}, not "{_short(text)}"')
            return None
        return text

    def integer(self, low: int, high: int) -> int | None:
        """Returns a decimal integer within the bounds, both included."""
        value = self.node.value if isinstance(self.node, yaml.ScalarNode) else ""
        plain = isinstance(value, str) and self.node.tag == "tag:yaml.org,2002:int" and _INTEGER.fullmatch(value)
        if not plain or not low <= int(value) <= high:
            self.refuse(f"must be a whole number from {low} to {high}")
            return None
        return int(value)

    def duration(self, low_ms: int, high_ms: int) -> int | None:
        """Returns milliseconds of a duration such as 500ms, 60s, 10m, 1h or 7d within the bounds, both included."""
        value = self.node.value if isinstance(self.node, yaml.ScalarNode) else ""
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self.refuse("must be a duration such as 60s, 10m or 1h")
            return None
        result = int(found[1]) * _MILLISECONDS[found[2]]
        if not low_ms <= result <= high_ms:
            self.refuse(f"must be from {_duration(low_ms)} to {_duration(high_ms)}")
            return None
        return result


def _duration(milliseconds: int) -> str:
    """Returns a duration in its largest whole unit."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms"


def _short(text: str) -> str:
    """Returns at most 60 printable characters of a text, for complaints."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:61])
    return shown if len(text) <= 60 else shown[:59] + "…"


def _kind(node: yaml.Node) -> str:
    """Returns what a node is, for complaints."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag == "tag:yaml.org,2002:null" else "a single value"

"""CEL by cel-expr-python: every attribute is a variable of its dotted name, so that a misspelt one fails to compile.

The checker resolves "request.json.amount" to the longest declared name, "request.json", and selects in it. With one
message variable an unset field would read as its zero value; a variable that is not supplied is an error instead,
which is what the lattice wants of a missing attribute.
"""

import difflib
import functools
import re
from typing import Any

from cel_expr_python import cel

from penstock_server.conditions._reads import variables_of
from penstock_server.domain.attributes import ATTRIBUTES, MISSING, Attributes, Kind
from penstock_server.domain.policy import ConditionError

__all__ = ["MAX_SOURCE_CHARACTERS", "CelCondition", "ConditionInvalid", "compile_condition"]

MAX_SOURCE_CHARACTERS = 4096
"""Longest condition; the parser's recursion limit (32) bounds its nesting."""

_STRING_OR_COMMENT = re.compile(
    r"""[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3})|[rR][bB]?(?:"[^"\n]*"|'[^'\n]*')"""
    r"""|[bB]?[rR]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*""",
    re.DOTALL,
)
_HAS_ATTRIBUTE = re.compile(r"\bhas\s*\(([\w\s.]+)\)")
_UNDECLARED = re.compile(r"undeclared reference to '([\w.]+)'")
_POSITION = re.compile(r"^\w+: ERROR: <input>:(\d+):(\d+): (.*)$")


class ConditionInvalid(ValueError):
    """Says in one line why a condition cannot be used."""


class CelCondition:
    """Holds a checked condition; immutable, and safe on any thread."""

    __slots__ = ("_expression", "_names", "reads", "source")

    def __init__(self, source: str, expression: Any, reads: frozenset[str]) -> None:
        self.source = source
        self.reads = reads
        self._expression = expression
        self._names = tuple(sorted(reads))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CelCondition) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"CelCondition({self.source!r})"

    def holds(self, attributes: Attributes) -> bool:
        """Returns the value; raises ConditionError if it has none. Takes about 5 µs."""
        data = {}
        for name in self._names:
            value = attributes.value(name)
            if value is not MISSING:
                data[name] = value
        try:
            result = self._expression.eval(data=data)
            is_bool = result.type() == cel.Type.BOOL
            value = result.value()
        except Exception as error:
            # The library raises RuntimeError for its budget and others from its conversions; none may become an allow.
            raise ConditionError(_kind_of(str(error))) from None
        if is_bool and value is True:
            return True
        if is_bool and value is False:
            return False
        raise ConditionError(_kind_of(str(value) if isinstance(value, str) else ""))


def compile_condition(source: str) -> CelCondition:
    """Returns the condition, checked to be of type bool. Raises ConditionInvalid."""
    if not source.strip():
        raise ConditionInvalid("a condition may not be empty")
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ConditionInvalid(f"a condition may have at most {MAX_SOURCE_CHARACTERS} characters")
    if any(character < " " and character not in "\t\n\r" for character in source) or not _encodable(source):
        raise ConditionInvalid("a condition may not contain control characters or unpaired surrogates")
    _refuse_has_of_attributes(source)
    try:
        expression = _environment().compile(source)
    except RuntimeError as error:
        raise ConditionInvalid(_one_line(str(error))) from None
    if expression.return_type() != cel.Type.BOOL:
        found = _type_name(expression.return_type())
        raise ConditionInvalid(f"a condition must be of type bool, this one is {found}; compare it, e.g. with == true")
    return CelCondition(source, expression, variables_of(expression.serialize()) & ATTRIBUTES.keys())


@functools.cache
def _environment() -> Any:
    """Returns the one environment, made at first use; it is immutable."""
    types = {
        Kind.STRING: cel.Type.STRING,
        Kind.STRINGS: cel.Type.List(cel.Type.STRING),
        Kind.STRING_MAP: cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        Kind.DYNAMIC: cel.Type.DYN,
        Kind.TIMESTAMP: cel.Type.TIMESTAMP,
    }
    return cel.NewEnv(variables={name: types[attribute.kind] for name, attribute in ATTRIBUTES.items()})


def _refuse_has_of_attributes(source: str) -> None:
    """Raises ConditionInvalid for has(request.json) and the like, which the library compiles to the value itself."""
    for operand in _HAS_ATTRIBUTE.findall(_STRING_OR_COMMENT.sub('""', source)):
        name = re.sub(r"\s", "", operand).removeprefix(".")
        if name in ATTRIBUTES:
            raise ConditionInvalid(f"has({name}) cannot be asked; has() needs a field, such as has({name}.field)")


def _encodable(source: str) -> bool:
    """Returns whether the text is valid Unicode."""
    try:
        source.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind_of(message: str) -> str:
    """Returns the kind of a failure; the library's own text may quote the request's data and is never passed on."""
    if message.startswith("NOT_FOUND") or "No value with name" in message or "Index error" in message:
        return "a value is missing"
    if "overload" in message or "Applying SELECT" in message:
        return "a value has the wrong type"
    if "udget" in message:
        return "it is over its budget"
    if "out of range" in message or "overflow" in message:
        return "a number is out of range"
    return "it has no value"


def _one_line(message: str) -> str:
    """Returns the first line of the compiler's complaint, with its position in words."""
    first = message.splitlines()[0] if message else "it does not compile"
    found = _POSITION.match(first)
    if found is None:
        return first.removesuffix(" [CANCELLED]").removesuffix(" [INVALID_ARGUMENT]")[:300]
    text = found[3].removesuffix(" (in container '')")[:300]
    unknown = _UNDECLARED.fullmatch(text)
    if unknown:
        nearest = difflib.get_close_matches(unknown[1], ATTRIBUTES, 1)
        text = f"there is no {unknown[1]}" + (f"; did you mean {nearest[0]}?" if nearest else "")
    return f"{text} (line {found[1]}, column {found[2]} of the condition)"


def _type_name(kind: Any) -> str:
    """Returns the name of a CEL type for people."""
    name = str(kind.name())
    return "dynamic (JSON of unknown type)" if name.lower() in {"dyn", "*"} else name

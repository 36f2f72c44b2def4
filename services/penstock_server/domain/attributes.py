"""What a condition can name: each attribute's type and how it is read from a request. Read lazily, at most once.

request.path and request.params: canonical percent-encoded text. request.headers: lower-case names; values of a name
that occurs more than once are joined with ", ", bytes read as ISO-8859-1. request.query: decoded as a form; if any
name occurs twice, or two are one to some upstreams (a and A, a and a[]), or a value is not UTF-8, or there is a bare
semicolon, the whole attribute is missing, because upstreams disagree about what counts. request.json: missing unless
the whole body was sent and is strict JSON. An empty owner, delegator or session is missing. What is missing makes
the condition that needs it an error, and an error counts against the request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from penstock._core.describe import Action, BodyState
from penstock_server.domain.principal import Principal
from penstock_server.domain.strict_json import UnreadableJsonError, parse_json, require_plain_json

__all__ = ["ATTRIBUTES", "MISSING", "Attribute", "Attributes", "Kind", "reads_body"]

MISSING: Any = object()
"""Stands for an attribute that this request does not have."""

MAX_QUERY_FIELDS = 1000
"""Most fields of a query that conditions can read, as in PHP's max_input_vars; beyond it request.query is missing."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(Enum):
    """Names the types of attributes; conditions/ maps them to CEL types."""

    STRING = "string"
    STRINGS = "list of strings"
    STRING_MAP = "map of strings"
    DYNAMIC = "JSON"
    TIMESTAMP = "timestamp"


@dataclass(slots=True)
class Attributes:
    """Holds one request as conditions see it. params: what the rule at hand captured; now_ms: UTC milliseconds.

    Used by one evaluation on one thread; the evaluator sets params before it asks each rule's condition.
    """

    principal: Principal
    action: Action
    now_ms: int
    params: dict[str, str] = field(default_factory=dict)
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> Any:
        """Returns the attribute of that dotted name (a key of ATTRIBUTES), or MISSING."""
        if name == "request.params":
            return self.params
        value = self._cache.get(name, self)
        if value is self:
            value = self._cache[name] = ATTRIBUTES[name].read(self)
        return value

    def unreadable(self) -> str:
        """Returns why the body that was sent has no JSON value, or "" if it has one or there is no body here."""
        self.value("request.json")
        return str(self._cache.get("unreadable", ""))

    def read_json(self) -> Any:
        """Returns the body's JSON value, or MISSING; remembers why it is unreadable."""
        http = self.action.http
        if http.body_state is not BodyState.WHOLE or not http.body:
            return MISSING
        try:
            require_plain_json(http.headers)
            return parse_json(http.body)
        except UnreadableJsonError as error:
            self._cache["unreadable"] = str(error)
            return MISSING


@dataclass(frozen=True, slots=True)
class Attribute:
    """Describes one attribute: its type, and how its value is read (MISSING if this request has none)."""

    kind: Kind
    read: Callable[[Attributes], Any]


def reads_body(reads: frozenset[str]) -> bool:
    """Returns whether a condition that reads these attributes needs the whole body."""
    return "request.json" in reads


def _headers(attributes: Attributes) -> dict[str, str]:
    """Returns header values by lower-case name."""
    result: dict[str, str] = {}
    for name, value in attributes.action.http.headers:
        text = value.decode("latin-1")
        result[name] = f"{result[name]}, {text}" if name in result else text
    return result


def _query(attributes: Attributes) -> Any:
    """Returns query values by name, or MISSING where upstreams may disagree about them."""
    query = attributes.action.http.query
    if ";" in query:  # separates fields in older frameworks
        return MISSING
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        return MISSING
    names = [_loose(name) for name, _ in fields]
    whole = set(names)
    if len(whole) != len(names) or any("[" in name and name.partition("[")[0] in whole for name in names):
        return MISSING
    return dict(fields)


def _loose(name: str) -> str:
    """Returns a name as frameworks read it that ignore case (ASP.NET), spaces before it, dots and NUL (PHP)."""
    return name.partition("\0")[0].strip().replace(".", "_").replace(" ", "_").casefold()


ATTRIBUTES: dict[str, Attribute] = {
    "principal.issuer": Attribute(Kind.STRING, lambda a: a.principal.issuer),
    "principal.subject": Attribute(Kind.STRING, lambda a: a.principal.subject),
    "principal.groups": Attribute(Kind.STRINGS, lambda a: sorted(a.principal.groups)),
    "principal.owner": Attribute(Kind.STRING, lambda a: a.principal.owner or MISSING),
    "principal.delegator": Attribute(Kind.STRING, lambda a: a.principal.delegator or MISSING),
    "session.id": Attribute(Kind.STRING, lambda a: a.principal.session or MISSING),
    "upstream.name": Attribute(Kind.STRING, lambda a: a.action.upstream),
    "request.protocol": Attribute(Kind.STRING, lambda _: "http"),
    "request.method": Attribute(Kind.STRING, lambda a: a.action.http.method),
    "request.authority": Attribute(Kind.STRING, lambda a: a.action.http.authority),
    "request.path": Attribute(Kind.STRING, lambda a: a.action.http.path),
    "request.params": Attribute(Kind.STRING_MAP, lambda a: a.params),
    "request.query": Attribute(Kind.STRING_MAP, _query),
    "request.headers": Attribute(Kind.STRING_MAP, _headers),
    "request.json": Attribute(Kind.DYNAMIC, Attributes.read_json),
    "now": Attribute(Kind.TIMESTAMP, lambda a: _EPOCH + timedelta(milliseconds=a.now_ms)),
}
"""Every attribute by its dotted name."""

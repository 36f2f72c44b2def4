"""Reads the head of an agent's request: canonical, without credentials, routed; or refuses it.

In: what the HTTP parser found. Out: an Incoming, from which both the question and the forwarded head are made, so that
what is judged is what is forwarded. The parser has already refused broken syntax (bare line ends, folded lines, space
before a colon, both a length and chunks); here is what it lets through.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from penstock._core.canonical import split_target
from penstock._core.describe import Action, BodyState, HttpRequest
from penstock._core.headers import Kind, SortedHeader, sort_header
from penstock._core.mounts import Mounts, Route
from penstock._core.refusal import ALLOWED, RefusedError
from penstock._core.via import VIA, VIA_HTTP10, end_circles

__all__ = ["CHUNKED", "IDENTITY", "NO_BODY", "Incoming", "read_head"]

NO_BODY = 0
"""Length of a request without a body."""
CHUNKED = -1
"""Stands for a length that is not known before the end."""
MAX_SESSION = 200
"""Longest session label that is kept, characters."""
MIN_TOKEN = 16
"""Bytes of the shortest token that is looked for in the rest of the request; shorter ones would be found by chance."""
MEMO_HEADS = 512
"""Heads of one route whose meaning is kept."""
MEMO_BYTES = 4096
"""Largest of them, bytes."""
MAX_LENGTH_DIGITS = 15
"""Digits of the longest Content-Length that is read: petabytes."""

IDENTITY = ("accept-encoding", b"identity")
"""Goes up in place of what the agent accepts: what is encoded cannot be masked."""
_IDENTITY_LINE = b"accept-encoding: identity\r\n"

_METHODS = frozenset(ALLOWED.split(", "))
_LENGTH_NAMES = frozenset({b"Content-Length", b"content-length"})
"""The usual spellings: they are looked at apart, so that bodies of other lengths do not make other heads."""
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_SCHEME = re.compile(rb"(?:bearer|token|basic)[ ]+", re.IGNORECASE)


@dataclass(slots=True)
class Incoming:
    """Holds one request in canonical form. path: below the mount. headers, lines: the forwarded ones, twice.

    length: bytes of the body, NO_BODY or CHUNKED. token: the agent's, "" if it sent none.
    """

    route: Route
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, bytes], ...]
    lines: bytes
    length: int
    keep_alive: bool
    http10: bool
    token: str = field(repr=False)
    session: str = ""
    expect_continue: bool = False

    def action(self, body_state: BodyState, body: bytes = b"") -> Action:
        """Returns what is asked about."""
        http = HttpRequest(self.method, self.route.authority, self.path, self.query, self.headers, body_state, body)
        return Action(self.route.upstream.name, http)

    def head(self, framing: bytes, credential: tuple[str, bytes] | None) -> bytes:
        """Returns the head that goes to the upstream; framing: the lines that tell the body's length, if any."""
        lines = self.lines
        extra = b""
        if credential is not None:
            name, value = credential
            extra = name.encode("ascii") + b": " + value + b"\r\n"
            if any(own == name for own, _ in self.headers):
                lines = _lines([(own, given) for own, given in self.headers if own != name])
        route = self.route
        query = f"?{self.query}" if self.query else ""
        start = f"{self.method} {route.base}{self.path}{query} HTTP/1.1\r\nhost: {route.authority}\r\n"
        via = VIA_HTTP10 if self.http10 else VIA
        return b"".join((start.encode("ascii"), lines, via, extra, framing, b"\r\n"))


def read_head(
    method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]], mounts: Mounts
) -> Incoming:
    """Returns the request in canonical form. Raises RefusedError; nothing of what it read is in that."""
    name = method.decode("ascii")
    if name not in _METHODS:
        raise RefusedError(405, "method_refused", f"The request was not forwarded: this shim does not forward {name}.")
    if version not in ("1.1", "1.0"):
        raise RefusedError(505, "bad_request", "The request was not forwarded: speak HTTP/1.1.")
    path, query = split_target(target)
    found = _by_host(headers, path, mounts) if mounts.by_host else None
    found = found or mounts.find(path)
    if found is None:
        reason = "No upstream is mounted at this path: its first part must name one of the policy; ask its admin."
        raise RefusedError(404, "upstream_unknown", reason)
    route, rest = found
    head = _head(route, tuple([header for header in headers if header[0] not in _LENGTH_NAMES]))
    if name == "OPTIONS":
        head = _one_hop_less(head)
    length = _length(head, [value for field, value in headers if field in _LENGTH_NAMES])
    http10 = version == "1.0"
    if head.chunked and (length is not None or http10):
        _bad("a body has either a length or chunks, and chunks only in HTTP/1.1")
    if head.upgrade and (head.chunked or length):
        _bad("it has a body and asks to switch protocols")  # parsers disagree about where that body ends
    if len(head.token) >= MIN_TOKEN and _holds(target, path, head.token):
        raise _misplaced()
    return Incoming(
        route=route,
        method=name,
        path=rest,
        query=query,
        headers=head.headers,
        lines=head.lines,
        length=CHUNKED if head.chunked else length or NO_BODY,
        keep_alive=head.keep_alive and not http10,
        http10=http10,
        token=head.token,
        session=head.session,
        expect_continue=head.expect and not http10,
    )


def _one_hop_less(head: "_Head") -> "_Head":
    """Returns the head that an OPTIONS request with Max-Forwards goes on with (RFC 9110, section 7.6.2)."""
    given = [value for name, value in head.headers if name == "max-forwards"]
    if not given:
        return head
    hops = given[0]
    if not hops.isdigit() or len(hops) > MAX_LENGTH_DIGITS:
        _bad("Max-Forwards must be a number")
    if not int(hops):
        reason = "The request was not forwarded: Max-Forwards ends it here, and this shim has no options of its own."
        raise RefusedError(405, "method_refused", reason)
    less = b"%d" % (int(hops) - 1)
    headers = tuple([(name, less if name == "max-forwards" else value) for name, value in head.headers])
    return replace(head, headers=headers, lines=_lines(headers))


def _lines(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Returns forwarded fields as they go up."""
    return b"".join([b"%b: %b\r\n" % (name.encode("ascii"), value) for name, value in headers])


def _by_host(headers: Sequence[tuple[bytes, bytes]], path: str, mounts: Mounts) -> tuple[Route, str] | None:
    """Returns the route that the Host names, and the whole path; a second Host is refused later, whatever it says."""
    for name, value in headers:
        if len(name) == 4 and name.lower() == b"host":
            route = mounts.at(value.strip(b" \t"))
            return None if route is None else (route, path)
    return None


def _holds(target: bytes, path: str, token: str) -> bool:
    """Returns whether a target holds the token, also with characters of it percent-encoded."""
    if token.encode() in target or token in path:
        return True
    return b"%" in target and token.encode() in unquote_to_bytes(target)


@dataclass(frozen=True, slots=True)
class _Head:
    """Holds what the fields of a head say, those about the length apart; agents repeat it from request to request."""

    headers: tuple[tuple[str, bytes], ...]
    lines: bytes
    lengths: tuple[bytes, ...]
    chunked: bool
    keep_alive: bool
    upgrade: bool
    expect: bool
    session: str
    token: str = field(repr=False)


def _head(route: Route, headers: tuple[tuple[bytes, bytes], ...]) -> _Head:
    """Returns what the fields say; that of small heads is kept with the route."""
    kept = route.heads.get(headers)
    if isinstance(kept, _Head):
        return kept
    reader = _Headers(route)
    for name, value in headers:
        reader.take(sort_header(name, value))
    head = reader.finish()
    if sum(len(name) + len(value) for name, value in headers) <= MEMO_BYTES:
        if len(route.heads) >= MEMO_HEADS:
            route.heads.clear()
        route.heads[headers] = head
    return head


def _length(head: _Head, values: list[bytes]) -> int | None:
    """Returns what Content-Length says, None if there is none."""
    values = [*values, *head.lengths]
    if not values:
        return None
    value = values[0].strip(b" \t")
    if len(values) > 1 or not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        _bad("there must be at most one valid Content-Length")
    return int(value)


class _Headers:
    """Collects the fields of one head."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.kept: list[SortedHeader] = []
        self.names: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.hosts = 0
        self.lengths: list[bytes] = []
        self.chunked = False
        self.connection: list[str] = []
        self.expect = self.upgrade = False
        self.session = ""

    def take(self, header: SortedHeader) -> None:
        """Takes one field; raises RefusedError."""
        kind, name = header.kind, header.name
        if name in self.route.upstream.token_from:
            self._token(header)
        elif kind is Kind.FORWARDED:
            if name in self.names:
                _bad(f"the header {name} was sent twice")
            self.names.add(name)
            self.kept.append(header)
        elif kind is Kind.LIST:
            self.kept.append(header)
        elif kind is not Kind.DROPPED and kind is not Kind.CREDENTIAL:
            self._special(header)

    def _special(self, header: SortedHeader) -> None:
        kind, value = header.kind, header.value
        if kind is Kind.HOST:
            self.hosts += 1
            if self.hosts > 1 or not _HOST.fullmatch(value):
                _bad("there must be exactly one valid Host")
        elif kind is Kind.CONTENT_LENGTH:
            self.lengths.append(value)
        elif kind is Kind.TRANSFER_ENCODING:
            if self.chunked or value.lower() != b"chunked":
                _bad("the only transfer coding that is taken is chunked")
            self.chunked = True
        elif kind is Kind.CONNECTION:
            self.connection += [option.strip().lower() for option in value.decode("latin-1").split(",")]
        elif kind is Kind.UPGRADE:
            self.upgrade = True
        elif kind is Kind.EXPECT:
            if value.lower() != b"100-continue":
                reason = "The request was not forwarded: only 100-continue may be expected."
                raise RefusedError(417, "bad_request", reason)
            self.expect = True
        elif kind in (Kind.SESSION, Kind.LABEL):
            if kind is Kind.SESSION:
                if header.name in self.names:
                    _bad(f"the header {header.name} was sent twice")
                self.names.add(header.name)
                self.kept.append(header)
            if not self.session or kind is Kind.LABEL:
                self.session = value.decode("utf-8")[:MAX_SESSION]

    def _token(self, header: SortedHeader) -> None:
        value = header.value
        match = _SCHEME.match(value)
        token = (value[match.end() :] if match else value).decode("utf-8")
        if header.name in self.tokens:
            _bad(f"the header {header.name} was sent twice")
        if token:
            self.tokens[header.name] = token

    def finish(self) -> _Head:
        """Returns what the fields say; raises RefusedError for what only all of them show."""
        if self.hosts != 1:
            _bad("there must be exactly one valid Host")
        tokens = set(self.tokens.values())
        if len(tokens) > 1:
            reason = "The request was not forwarded: it carries two different tokens; send one."
            raise RefusedError(400, "two_tokens", reason)
        token = tokens.pop() if tokens else ""
        kept = [header for header in self.kept if header.name not in self.connection]
        passed = 0
        for header in kept:
            if header.name == "via":
                passed = end_circles(header.value, passed)
        lines = b"".join([header.line for header in kept])
        if len(token) >= MIN_TOKEN and token.encode() in lines:
            raise _misplaced()
        return _Head(
            headers=(*[(header.name, header.value) for header in kept], IDENTITY),
            lines=lines + _IDENTITY_LINE,
            lengths=tuple(self.lengths),
            chunked=self.chunked,
            keep_alive="close" not in self.connection,
            upgrade=self.upgrade and "upgrade" in self.connection,
            expect=self.expect,
            session=self.session,
            token=token,
        )


def _bad(reason: str) -> NoReturn:
    raise RefusedError(400, "bad_request", f"The request was not forwarded: {reason}.")


def _misplaced() -> RefusedError:
    reason = "The request was not forwarded: your token stands where the upstream would see it."
    return RefusedError(400, "token_misplaced", reason)

"""Sorts request headers: what is forwarded, what never is, and what the shim itself must read.

In: raw field lines of an agent's request. Out: their kind, and in canonical form those that may be forwarded. Unless
the upstream's policy says otherwise, nothing that may carry a credential goes up, and nothing that an upstream may
take for the word of a proxy (sources: RFC 9110 section 7.6.1; headers that frameworks and gateways are known to trust).
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from penstock._core.refusal import RefusedError

__all__ = ["HOP_BY_HOP", "Kind", "SortedHeader", "sort_header"]

MEMO_BYTES = 2048
"""Longest header value in bytes whose sorting is kept; agents repeat nearly all of theirs, their tokens above all."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
"""Fields that belong to one connection (RFC 9110, section 7.6.1), and those of old or upgrading clients."""

_CREDENTIALS = frozenset(
    {
        "api-key",
        "apikey",
        "authorization",
        "cookie",
        "cookie2",
        "ocp-apim-subscription-key",
        "private-token",
        "proxy-authorization",
        "x-access-token",
        "x-amz-security-token",
        "x-api-key",
        "x-api-token",
        "x-apikey",
        "x-auth",
        "x-auth-key",
        "x-auth-token",
        "x-csrf-token",
        "x-functions-key",
        "x-goog-api-key",
        "x-goog-iam-authorization-token",
        "x-session-token",
        "x-vault-token",
    }
)
"""Fields that carry credentials; the agent has none that an upstream should see."""

_TRUSTED_BY_UPSTREAMS = frozenset(
    {
        "forwarded",
        "x-http-method",
        "x-http-path-override",
        "x-method",
        "x-middleware-subrequest",
        "x-forwarded",
        "remote-user",
        "remote-addr",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "x-override-url",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-user",
        "x-rewrite-url",
        "x-user",
        "x-wap-profile",
        "true-client-ip",
        "cf-connecting-ip",
        "client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "fastly-client-ip",
    }
)
_TRUSTED_PREFIXES = (
    "x-forwarded-",
    "x-envoy-",
    "x-penstock-",
    "x-ms-client-principal",
    "x-auth-request-",
    "x-goog-iap-",
)

_PARTIAL = frozenset(
    {"range", "if-range", "request-range", "x-range", "x-ms-range", "x-goog-range", "x-amz-range", "x-http-range"}
)
"""Never forwarded: two ranges can cut a secret in halves that no mask knows."""

_REPEATABLE = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "anthropic-beta",
        "baggage",
        "cache-control",
        "if-match",
        "if-none-match",
        "link",
        "openai-beta",
        "pragma",
        "prefer",
        "tracestate",
        "via",
        "warning",
    }
)
"""Fields whose values are lists (RFC 9110, section 5.3): sent twice they mean the same to everybody."""

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^`|~_-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Kind(IntEnum):
    """Says what is done with a field."""

    FORWARDED = 0
    """May go up, once."""
    LIST = 1
    """May go up, more than once."""
    DROPPED = 2
    CREDENTIAL = 3
    """Dropped; may hold the agent's token."""
    HOST = 4
    CONTENT_LENGTH = 5
    TRANSFER_ENCODING = 6
    CONNECTION = 7
    EXPECT = 8
    UPGRADE = 9
    SESSION = 10
    """Forwarded, and read as the label of the session."""
    LABEL = 11
    """Dropped, and read as the label of the session."""


_SPECIAL = {
    "host": Kind.HOST,
    "content-length": Kind.CONTENT_LENGTH,
    "transfer-encoding": Kind.TRANSFER_ENCODING,
    "connection": Kind.CONNECTION,
    "expect": Kind.EXPECT,
    "upgrade": Kind.UPGRADE,
    "accept-encoding": Kind.DROPPED,  # the shim asks for identity, or masking would be blind
    "x-claude-code-session-id": Kind.SESSION,
    "x-penstock-session": Kind.LABEL,
}


@dataclass(frozen=True, slots=True)
class SortedHeader:
    """Holds one field: lower-case name, value without surrounding white space, and the line that goes up."""

    kind: Kind
    name: str
    value: bytes
    line: bytes

    def __repr__(self) -> str:
        """Shows no value: it may be a credential."""
        return f"SortedHeader({self.kind.name}, {self.name})"


def sort_header(name: bytes, value: bytes) -> SortedHeader:
    """Returns the field, sorted. Raises RefusedError (400) if it is not UTF-8 or has control characters."""
    return _kept(name, value) if len(value) <= MEMO_BYTES else _sort(name, value)


@lru_cache(4096)
def _kept(name: bytes, value: bytes) -> SortedHeader:
    return _sort(name, value)


def _sort(raw_name: bytes, raw_value: bytes) -> SortedHeader:
    if not _TOKEN.fullmatch(raw_name) or len(raw_name) > MEMO_BYTES:
        raise RefusedError(400, "bad_header", "The request was not forwarded: the name of a header is not valid.")
    name = raw_name.decode("ascii").lower()
    value = raw_value.strip(b" \t")
    if _CONTROL.search(value) or not _is_utf8(value):
        reason = f"The request was not forwarded: the header {name} has control characters or is not UTF-8."
        raise RefusedError(400, "bad_header", reason)
    return SortedHeader(_kind(name), name, value, raw_name.lower() + b": " + value + b"\r\n")


def _kind(name: str) -> Kind:
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name in _CREDENTIALS:
        return Kind.CREDENTIAL
    if "_" in name or name in HOP_BY_HOP or name in _TRUSTED_BY_UPSTREAMS or name in _PARTIAL:
        return Kind.DROPPED
    if name.startswith(_TRUSTED_PREFIXES):
        return Kind.DROPPED
    return Kind.LIST if name in _REPEATABLE else Kind.FORWARDED


def _is_utf8(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""Describes what an agent wants to do: the one form of an action, for the shim and for the service."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["DEFAULT_PORTS", "Action", "BodyState", "HttpRequest", "authority_of"]

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Ports by scheme that an authority leaves out (RFC 9110, section 4.2)."""


class BodyState(Enum):
    """Says where the body of a request is while it is judged."""

    __hash__ = object.__hash__  # members are single; Enum's own hash is Python code (0.3 µs)

    NONE = "none"
    """The request has no body."""
    WITHHELD = "withheld"
    """There is a body that the service has not seen."""
    WHOLE = "whole"
    """The whole body is in the description."""


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class HttpRequest:
    """Holds an HTTP request in canonical form: what is judged is what is forwarded.

    method: upper case. authority: host[:port] that the upstream sees. path: canonical absolute path below the mount,
    percent-encoded. query: raw, without its question mark. headers: (lower-case name, value bytes) of every header that
    is forwarded, credentials excepted, in order. body: the whole body if body_state is WHOLE, else b"".
    """

    method: str
    authority: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, bytes], ...] = ()
    body_state: BodyState = BodyState.NONE
    body: bytes = b""


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class Action:
    """Holds one thing that a principal wants to do to the upstream of that name."""

    upstream: str
    http: HttpRequest


@lru_cache(1024)
def authority_of(url: str) -> str:
    """Returns host[:port] of an http or https URL as an upstream sees it: lower case, without the scheme's own port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if parts.port is None or parts.port == DEFAULT_PORTS.get(parts.scheme):
        return host
    return f"{host}:{parts.port}"

"""Describes what an agent wants to do: the one form of an action, for the shim and for the service."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Action", "BodyState", "HttpRequest"]


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

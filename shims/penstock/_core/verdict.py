"""Answers of the policy service and the shim's configuration, as plain values; _client converts from protobuf."""

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Ask", "Frame", "FrameKind", "KnownValue", "MaskSpec", "Outcome", "ShimConfig", "Upstream", "Verdict"]

from penstock._core.describe import Action


class Outcome(Enum):
    """Says what to do with an asked action."""

    ALLOW = "allow"
    DENY = "deny"
    PENDING = "pending"
    NEED_BODY = "need_body"
    UNAVAILABLE = "unavailable"
    """Made by the client itself: no answer, a late one, or one that it does not understand."""


@dataclass(frozen=True, slots=True)
class KnownValue:
    """Holds one stored secret that must be masked wherever it appears."""

    name: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """Holds the union of the masks of one answer; hashable, so that compiled maskers are cached by it.

    detectors: ids or the families "secrets", "personal", "all". json: JSON pointers, "*" for one token.
    headers: response header names, lower case.
    """

    detectors: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()


@dataclass(slots=True)  # not frozen: see Verdict
class Ask:
    """Holds one question, to be read only. call_id: 32 hexadecimal digits, unique for ever. token: the agent's own."""

    call_id: str
    token: str = field(repr=False)
    action: Action
    session: str = ""
    can_hold: bool = True


@dataclass(slots=True)  # not frozen: that makes it four times as dear to create (4 µs), and one is made for every ask
class Verdict:
    """Holds one answer, to be read only; code, rule and reason are for the agent, credential and mask_key are secret.

    credential: (lower-case header name, value) or None; credential_hosts: where it may go.
    hold_ms: longest hold on PENDING. need_body_max: bytes on NEED_BODY.
    expires_at_ms: end of the pending state, UTC milliseconds.
    """

    call_id: str
    outcome: Outcome
    decision_id: str = ""
    code: str = ""
    rule: str = ""
    reason: str = ""
    credential: tuple[str, bytes] | None = field(default=None, repr=False)
    credential_hosts: tuple[str, ...] = ()
    masks: MaskSpec = MaskSpec()
    mask_key: bytes = field(default=b"", repr=False)
    approval: str = ""
    hold_ms: int = 0
    expires_at_ms: int = 0
    need_body_max: int = 0
    policy_revision: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Holds one upstream as a shim needs it; see penstock.v1.UpstreamConfig for the fields."""

    name: str
    url: str
    mount: str
    dialect: str = "problem"
    token_from: tuple[str, ...] = ("authorization",)
    private_addresses: bool = False
    known_values: tuple[KnownValue, ...] = field(default=(), repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShimConfig:
    """Holds what the service pushed: the upstreams that this shim serves, as of one policy revision."""

    policy_revision: int
    upstreams: tuple[Upstream, ...]


class FrameKind(Enum):
    """Names the kinds of frames of an exchange, in their order."""

    __hash__ = object.__hash__  # members are single; Enum's own hash is Python code (0.3 µs)

    REQUEST = "request"
    REQUEST_BODY = "request_body"
    RESPONSE = "response"
    RESPONSE_BODY = "response_body"
    END = "end"


@dataclass(slots=True)
class Frame:
    """Holds one masked message, or part of one; see penstock.v1.Frame. body: at most 65536 bytes."""

    call_id: str
    kind: FrameKind
    at_ms: int
    upstream: str
    session: str = ""
    start: str = ""
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""
    outcome: str = ""
    masked: dict[str, int] = field(default_factory=dict)

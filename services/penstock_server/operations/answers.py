"""Questions of shims and the answers to them, as values; rpc/ converts both."""

from dataclasses import dataclass, field
from enum import StrEnum

from penstock._core.describe import Action
from penstock_server.domain.policy import Mask

__all__ = ["Answer", "CredentialGiven", "Outcome", "Question"]


class Outcome(StrEnum):
    """Says what the shim must do."""

    ALLOW = "allow"
    DENY = "deny"
    PENDING = "pending"
    NEED_BODY = "need_body"


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class Question:
    """Holds one ask. call_id: 32 hexadecimal digits, idempotency key of a grant's use. token: the agent's own."""

    call_id: str
    token: str = field(repr=False)
    action: Action
    session: str = ""
    can_hold: bool = False
    may_ask: bool = True
    """False for a call that was held already: it passes on its grant, or is refused; it never asks anew."""


@dataclass(frozen=True, slots=True)
class CredentialGiven:
    """Holds the header that the shim adds, and the hosts that it may go to. Secret."""

    header: str
    value: bytes = field(repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class Answer:
    """Holds one verdict; see penstock.v1.Verdict. Times in UTC milliseconds, spans in milliseconds, sizes in bytes."""

    call_id: str
    outcome: Outcome
    decision_id: str = ""
    code: str = ""
    rule: str = ""
    reason: str = ""
    credential: CredentialGiven | None = None
    masks: tuple[Mask, ...] = ()
    mask_key: bytes = field(default=b"", repr=False)
    approval: str = ""
    hold_ms: int = 0
    expires_at_ms: int = 0
    need_body_max: int = 0
    policy_revision: int = 0
    epoch: int = 0

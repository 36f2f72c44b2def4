"""Approvals as values: what a request, a review, a grant and its use hold. The machine is in approval_machine.py."""

from dataclasses import dataclass
from enum import StrEnum

from penstock_server.domain.policy import PrincipalMatch

__all__ = ["ApprovalRequest", "Grant", "NewApproval", "Person", "Redemption", "Requirement", "Review", "State"]


class State(StrEnum):
    """Names the states of an approval request; every exit from pending is final and happens once."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Person:
    """Holds an identity: (issuer, subject), with the person behind it and who delegated, empty where nobody."""

    issuer: str
    subject: str
    owner: str = ""
    delegator: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Holds what one rule demands, as of the request's creation."""

    rule: str
    reviewers: tuple[PrincipalMatch, ...]
    quorum: int


@dataclass(frozen=True, slots=True)
class NewApproval:
    """Holds an approval request before it is stored. action_json: masked canonical JSON of the action for reviewers.

    digest: 32 bytes over the exact canonical action. Times in UTC milliseconds, spans in milliseconds.
    """

    id: str
    requester: Person
    groups: tuple[str, ...]
    upstream: str
    digest: bytes
    action_json: str
    requirements: tuple[Requirement, ...]
    reason: str
    session: str
    call_id: str
    policy_revision: int
    created_at_ms: int
    expires_at_ms: int
    grant_uses: int
    grant_ttl_ms: int


@dataclass(frozen=True, slots=True)
class Review:
    """Holds what one person said. satisfies: rules whose reviewers the person was among."""

    reviewer: Person
    approved: bool
    reason: str
    at_ms: int
    satisfies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Holds what an approval gave; usable iff start <= now < end, uses_left > 0 and not revoked."""

    id: str
    request_id: str
    uses_left: int
    start_at_ms: int
    end_at_ms: int
    revoked_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """Holds a stored request with its reviews and, once approved, its grant."""

    new: NewApproval
    state: State
    resolved_at_ms: int | None = None
    reviews: tuple[Review, ...] = ()
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Redemption:
    """Holds the outcome of spending a grant: the grant and its request, or None for both if there was none to spend."""

    grant_id: str | None
    request_id: str | None

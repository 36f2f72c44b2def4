"""Ports of the operations: what they need from the world. The docstring of each method is its contract.

Every method raises PenstockError(UNAVAILABLE) if the database cannot be reached or written in time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Redemption, Review, State
from penstock_server.domain.audit import AuditEntry, AuditEvent, AuditPosition

__all__ = [
    "ApprovalStore",
    "AuditLog",
    "AuditReader",
    "FrameStore",
    "PolicyStore",
    "RevisionRow",
    "SecretRow",
    "SecretStore",
    "SentFrames",
    "ShimRow",
    "ShimStore",
]


class AuditLog(Protocol):
    """Appends to this node's log."""

    async def append(self, event: AuditEvent) -> AuditPosition:
        """Returns once the entry is on disk (group commit). Raises UNAVAILABLE if that is not certain."""
        ...

    async def append_many(self, events: Sequence[AuditEvent]) -> list[AuditPosition]:
        """Appends events next to each other, as append does for one; returns their positions in the same order."""
        ...


class AuditReader(Protocol):
    """Reads this node's log."""

    async def entries(
        self, *, after: int = 0, limit: int = 100, kind: str = "", call_id: str = "", newest: bool = False
    ) -> list[AuditEntry]:
        """Returns entries in ascending order; with newest, the last `limit` ones that match."""
        ...

    async def wait(self, after: int, timeout_s: float) -> None:
        """Returns once this process has written an entry after that number, at once if it has, or at the timeout."""
        ...


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """Holds one stored policy revision. digest: SHA-256 of the document."""

    number: int
    document: str
    digest: bytes
    author: str
    created_at_ms: int
    active: bool


class PolicyStore(Protocol):
    """Keeps immutable revisions and the pointer to the active one."""

    async def epoch(self) -> int:
        """Returns the epoch."""
        ...

    async def active(self) -> tuple[RevisionRow | None, int]:
        """Returns the active revision, or None before the first, with the epoch, in one read."""
        ...

    async def revision(self, number: int) -> RevisionRow | None:
        """Returns one revision, or None."""
        ...

    async def revisions(self, *, before: int, limit: int) -> list[RevisionRow]:
        """Returns revisions below `before` (0: all), newest first."""
        ...

    async def add(
        self, *, document: str, rules: Sequence["RuleRow"], digest: bytes, author: str, at_ms: int, expected_active: int
    ) -> tuple[RevisionRow, int]:
        """Stores a revision, makes it active and bumps the epoch, in one transaction; returns it with the new epoch.

        Raises CONFLICT if the active revision is no longer `expected_active` (0: none).
        """
        ...


@dataclass(frozen=True, slots=True)
class RuleRow:
    """Holds one rule with typed selector columns, for SQL; lists are canonical JSON text."""

    name: str
    effect: str
    upstreams: str
    methods: str
    paths: str
    principals: str
    condition: str
    mode: str
    definition: str


class ApprovalStore(Protocol):
    """Keeps approval requests, reviews, grants and uses; each method is one transaction."""

    async def open(self, new: NewApproval, *, max_pending: int, denial_stands_ms: int) -> tuple[ApprovalRequest, bool]:
        """Stores a request, or joins the pending one of the same digest; the flag says if it is new.

        A request past its deadline is expired first. Returns the denied request (flag False) if the requester
        was denied the same digest within denial_stands_ms. Raises EXHAUSTED (TOO_MANY_PENDING) at max_pending,
        CONFLICT (CALL_REUSED) if the call id asked for another digest before.
        """
        ...

    async def get(self, request_id: str) -> ApprovalRequest | None:
        """Returns a request with reviews and grant, or None."""
        ...

    async def page(self, *, state: State, limit: int, before: tuple[int, str] | None) -> list[ApprovalRequest]:
        """Returns requests newest first, before the (created_at_ms, id) of the former page's last."""
        ...

    async def review(self, request_id: str, review: Review, *, grant_id: str) -> tuple[ApprovalRequest, bool]:
        """Locks the request's row, adds the review, and resolves the request by domain.approval_machine.resolve.

        The flag is False if the same person had said the same before (no effect). Approval creates the grant in
        the same transaction. Raises NOT_FOUND; WRONG_STATE if it is not pending (an overdue one is expired first);
        CONFLICT if the person said the opposite before.
        """
        ...

    async def cancel(self, request_id: str, *, actor: Person, at_ms: int) -> ApprovalRequest:
        """Leaves pending as cancelled. Raises NOT_FOUND, WRONG_STATE."""
        ...

    async def expire(self, now_ms: int) -> list[ApprovalRequest]:
        """Leaves pending as expired wherever the deadline has passed; returns those."""
        ...

    async def redeem(self, *, requester: Person, digest: bytes, call_id: str, now_ms: int) -> Redemption:
        """Claims one use of a usable grant of this requester and digest.

        The same call_id gets the same answer, as long as the grant's window is open and it is not revoked.
        """
        ...


@dataclass(frozen=True, slots=True)
class SecretRow:
    """Holds one version of a secret. ciphertext and wrapped_key are AES-256-GCM (nonce ‖ ciphertext ‖ tag)."""

    name: str
    version: int
    hosts: tuple[str, ...]
    ciphertext: bytes
    wrapped_key: bytes
    kek_id: str
    created_at_ms: int


class SecretStore(Protocol):
    """Keeps encrypted secrets; never sees a value."""

    async def next_version(self, name: str) -> int:
        """Returns the number that the next version will have."""
        ...

    async def put(self, row: SecretRow) -> int:
        """Stores a version and bumps the epoch; returns the new epoch. Raises CONFLICT if that version exists."""
        ...

    async def all(self, versions: int = 1) -> list[SecretRow]:
        """Returns the newest versions of every secret, that many of each, by name, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class ShimRow:
    """Holds an enrolled shim. token_hash: SHA-256 of its credential."""

    name: str
    token_hash: bytes
    upstreams: tuple[str, ...]
    groups: tuple[str, ...]
    created_at_ms: int
    revoked_at_ms: int | None = None


class ShimStore(Protocol):
    """Keeps enrolments."""

    async def add(self, row: ShimRow) -> None:
        """Stores an enrolment. Raises CONFLICT if the name exists."""
        ...

    async def by_token_hash(self, token_hash: bytes) -> ShimRow | None:
        """Returns the shim with this credential, revoked or not, or None."""
        ...

    async def all(self) -> list[ShimRow]:
        """Returns all shims by name."""
        ...

    async def revoke(self, name: str, at_ms: int) -> ShimRow:
        """Revokes and bumps the epoch; revoking twice keeps the first time. Raises NOT_FOUND."""
        ...


class SentFrames(Protocol):
    """Holds frames of one run as a shim sent them, numbered without a gap; what keeps them need not take them apart."""

    @property
    def first(self) -> int:
        """Number of the first frame; 0 if there is none."""
        ...

    @property
    def last(self) -> int:
        """Number of the last frame; 0 if there is none."""
        ...

    def content(self) -> list[bytes]:
        """Returns whatever was taken from requests and responses, as it came: lines, labels, headers, bodies."""
        ...

    def after(self, number: int) -> "SentFrames":
        """Returns those with higher numbers."""
        ...

    def change(self, how: Callable[[bytes, str], bytes]) -> Iterator[None]:
        """Replaces each piece of content by how(piece, name of its upstream), one frame a step."""
        ...

    def encoded(self) -> bytes:
        """Returns them as penstock.v1.RecordRequest."""
        ...


class FrameStore(Protocol):
    """Keeps recorded frames, in batches as they came."""

    def forget(self, shim: str) -> None:
        """Forgets what is known of the shim's runs: they may have gone on at another node meanwhile."""
        ...

    async def append(self, *, shim: str, run_id: str, batch: SentFrames) -> int:
        """Stores what is not stored yet of the batch; returns a number up to which the run is on disk without a gap.

        Raises INVALID (FRAME_GAP) if it does not follow what is stored.
        """
        ...

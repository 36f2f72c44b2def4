"""Fakes of the operations' ports: stores in memory, a clock and ids by hand, a log that can fail or stall."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from penstock.v1.recording_pb2 import Frame, RecordRequest
from penstock_server.domain.approval import ApprovalRequest, Grant, NewApproval, Person, Redemption, Review, State
from penstock_server.domain.approval_machine import resolve
from penstock_server.domain.audit import AuditEntry, AuditEvent, AuditPosition
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.operations.interfaces import RevisionRow, RuleRow, SecretRow, SentFrames, ShimRow

__all__ = [
    "MemoryApprovals",
    "MemoryFrames",
    "MemoryLog",
    "MemoryPolicies",
    "MemorySecrets",
    "MemoryShims",
    "TableVerifier",
    "Time",
    "numbered_ids",
]

AWAY = PenstockError(Code.UNAVAILABLE, "DATABASE_UNAVAILABLE", "the database cannot be used now")
UNLOGGED = PenstockError(Code.UNAVAILABLE, "AUDIT_UNAVAILABLE", "the audit log cannot be written now")


@dataclass
class Time:
    """Is a clock that stands until it is moved. now_ms: UTC milliseconds."""

    now_ms: int = 1_900_000_000_000

    def __call__(self) -> int:
        """Returns the time."""
        return self.now_ms


def numbered_ids() -> Callable[[str], str]:
    """Returns a source of ids: prefix_1, prefix_2 and so on."""
    count = 0

    def new_id(prefix: str) -> str:
        nonlocal count
        count += 1
        return f"{prefix}_{count}"

    return new_id


@dataclass
class TableVerifier:
    """Knows the tokens in its table."""

    principals: dict[str, Principal] = field(default_factory=dict)

    def verify(self, token: str, now_ms: int) -> Principal:
        """Returns the principal of the token."""
        if token not in self.principals:
            raise PenstockError(Code.UNAUTHENTICATED, "TOKEN_INVALID", "the token is not one that this service accepts")
        if now_ms >= self.principals[token].expires_at_ms:
            raise PenstockError(Code.UNAUTHENTICATED, "TOKEN_EXPIRED", "the token has expired")
        return self.principals[token]


@dataclass
class MemoryPolicies:
    """Keeps revisions and the epoch. away: whether every call fails."""

    rows: list[RevisionRow] = field(default_factory=list)
    rules: dict[int, Sequence[RuleRow]] = field(default_factory=dict)
    value: int = 1
    away: bool = False
    meanwhile: Callable[[], None] | None = None
    """Runs once, just before the next `add`: another admin was faster."""

    async def epoch(self) -> int:
        self._reach()
        return self.value

    async def active(self) -> tuple[RevisionRow | None, int]:
        self._reach()
        return next((row for row in self.rows if row.active), None), self.value

    async def revision(self, number: int) -> RevisionRow | None:
        self._reach()
        return next((row for row in self.rows if row.number == number), None)

    async def revisions(self, *, before: int, limit: int) -> list[RevisionRow]:
        self._reach()
        return [row for row in reversed(self.rows) if not before or row.number < before][:limit]

    async def add(
        self, *, document: str, rules: Sequence[RuleRow], digest: bytes, author: str, at_ms: int, expected_active: int
    ) -> tuple[RevisionRow, int]:
        self._reach()
        between, self.meanwhile = self.meanwhile, None
        if between is not None:
            between()
        active = next((row.number for row in self.rows if row.active), 0)
        if active != expected_active:
            raise PenstockError(Code.CONFLICT, "POLICY_CHANGED", f"revision {active} became active meanwhile")
        row = RevisionRow(len(self.rows) + 1, document, digest, author, at_ms, active=True)
        self.rows = [*(replace(old, active=False) for old in self.rows), row]
        self.rules[row.number] = rules
        return row, await self.bump_epoch()

    async def bump_epoch(self) -> int:
        self._reach()
        self.value += 1
        return self.value

    def _reach(self) -> None:
        if self.away:
            raise AWAY


@dataclass
class MemoryLog:
    """Is the audit log. failing: appends to refuse. meanwhile: what happens, once each, before the next appends."""

    policies: MemoryPolicies
    events: list[AuditEvent] = field(default_factory=list)
    failing: int = 0
    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: appends wait, as for a slow disk."""

    def __post_init__(self) -> None:
        self.open.set()

    async def append(self, event: AuditEvent) -> AuditPosition:
        return (await self.append_many([event]))[0]

    async def append_many(self, events: Sequence[AuditEvent]) -> list[AuditPosition]:
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        await self.open.wait()
        if self.failing:
            self.failing -= 1
            raise UNLOGGED
        first = len(self.events) + 1
        self.events.extend(events)
        return [AuditPosition("main", seq, self.policies.value) for seq in range(first, first + len(events))]

    async def entries(
        self, *, after: int = 0, limit: int = 100, kind: str = "", call_id: str = "", newest: bool = False
    ) -> list[AuditEntry]:
        found = [
            AuditEntry("main", seq, event, bytes(32), bytes(32))
            for seq, event in enumerate(self.events, 1)
            if seq > after and kind in ("", event.kind) and call_id in ("", event.call_id)
        ]
        return found[-limit:] if newest else found[:limit]

    async def wait(self, after: int, timeout_s: float) -> None:
        await asyncio.sleep(0)

    def kinds(self) -> list[str]:
        """Returns the kinds of all events, in order."""
        return [event.kind for event in self.events]


@dataclass
class MemorySecrets:
    """Keeps encrypted rows: of each secret the newest, and the former one."""

    policies: MemoryPolicies
    rows: dict[str, SecretRow] = field(default_factory=dict)
    former: dict[str, SecretRow] = field(default_factory=dict)

    async def next_version(self, name: str) -> int:
        return self.rows[name].version + 1 if name in self.rows else 1

    async def put(self, row: SecretRow) -> int:
        if row.version != await self.next_version(row.name):
            raise PenstockError(Code.CONFLICT, "SECRET_CHANGED", "put by somebody else meanwhile")
        if row.name in self.rows:
            self.former[row.name] = self.rows[row.name]
        self.rows[row.name] = row
        return await self.policies.bump_epoch()

    async def all(self, versions: int = 1) -> list[SecretRow]:
        kept = (self.rows, self.former)[:versions]
        return [rows[name] for name in sorted(self.rows) for rows in kept if name in rows]


@dataclass
class MemoryShims:
    """Keeps enrolments."""

    policies: MemoryPolicies
    rows: dict[str, ShimRow] = field(default_factory=dict)

    async def add(self, row: ShimRow) -> None:
        if row.name in self.rows:
            raise PenstockError(Code.CONFLICT, "SHIM_EXISTS", "enrolled already")
        self.rows[row.name] = row

    async def by_token_hash(self, token_hash: bytes) -> ShimRow | None:
        return next((row for row in self.rows.values() if row.token_hash == token_hash), None)

    async def all(self) -> list[ShimRow]:
        return [self.rows[name] for name in sorted(self.rows)]

    async def revoke(self, name: str, at_ms: int) -> ShimRow:
        if name not in self.rows:
            raise PenstockError(Code.NOT_FOUND, "SHIM_NOT_FOUND", "no such shim")
        row = self.rows[name]
        self.rows[name] = row if row.revoked_at_ms else replace(row, revoked_at_ms=at_ms)
        await self.policies.bump_epoch()
        return self.rows[name]


@dataclass
class MemoryFrames:
    """Keeps frames by shim and run."""

    rows: dict[tuple[str, str], list[Frame]] = field(default_factory=dict)

    def forget(self, shim: str) -> None:
        """Remembers nothing but rows."""

    async def append(self, *, shim: str, run_id: str, batch: SentFrames) -> int:
        kept = self.rows.setdefault((shim, run_id), [])
        kept.extend(frame for frame in RecordRequest.FromString(batch.encoded()).frames if frame.seq > len(kept))
        return len(kept)


@dataclass
class MemoryApprovals:
    """Keeps approval requests by the rules of domain.approval_machine, as the database does."""

    rows: dict[str, ApprovalRequest] = field(default_factory=dict)
    grants: dict[str, tuple[Person, bytes]] = field(default_factory=dict)
    uses: dict[tuple[str, str], str] = field(default_factory=dict)
    away: bool = False

    async def open(self, new: NewApproval, *, max_pending: int, denial_stands_ms: int) -> tuple[ApprovalRequest, bool]:
        self._reach()
        now = new.created_at_ms
        own = [row for row in self.rows.values() if _same(row.new.requester, new.requester)]
        if any(row.new.call_id == new.call_id and row.new.digest != new.digest for row in own):
            raise PenstockError(Code.CONFLICT, "CALL_REUSED", "this call id asked for another action before")
        same = [row for row in own if row.new.digest == new.digest]
        for row in same:
            if row.state is State.PENDING and row.new.expires_at_ms > now:
                return row, False
            self._expire(row, now)
        denied = [
            row for row in same if row.state is State.DENIED and (row.resolved_at_ms or 0) > now - denial_stands_ms
        ]
        if denied:
            return max(denied, key=lambda row: row.resolved_at_ms or 0), False
        waiting = [row for row in own if row.state is State.PENDING and row.new.expires_at_ms > now]
        if len(waiting) >= max_pending:
            raise PenstockError(Code.EXHAUSTED, "TOO_MANY_PENDING", "too many of your requests wait", retry_after_ms=1)
        self.rows[new.id] = ApprovalRequest(new, State.PENDING)
        return self.rows[new.id], True

    async def get(self, request_id: str) -> ApprovalRequest | None:
        self._reach()
        return self.rows.get(request_id)

    async def page(self, *, state: State, limit: int, before: tuple[int, str] | None) -> list[ApprovalRequest]:
        self._reach()
        found = sorted(
            (row for row in self.rows.values() if row.state is state),
            key=lambda row: (row.new.created_at_ms, row.new.id),
            reverse=True,
        )
        return [row for row in found if before is None or (row.new.created_at_ms, row.new.id) < before][:limit]

    async def review(self, request_id: str, review: Review, *, grant_id: str) -> tuple[ApprovalRequest, bool]:
        self._reach()
        row = self._found(request_id)
        for earlier in row.reviews:
            if _same(earlier.reviewer, review.reviewer):
                if earlier.approved == review.approved:
                    return row, False
                raise PenstockError(Code.CONFLICT, "REVIEW_STANDS", "you said the opposite before")
        self._expire(row, review.at_ms)
        row = self._pending(request_id)
        reviews = (*row.reviews, review)
        after = resolve(row.new.requirements, reviews)
        grant = None
        if after is State.APPROVED:
            end = review.at_ms + row.new.grant_ttl_ms
            grant = Grant(grant_id, request_id, row.new.grant_uses, review.at_ms, end)
            self.grants[grant_id] = row.new.requester, row.new.digest
        resolved = None if after is State.PENDING else review.at_ms
        self.rows[request_id] = ApprovalRequest(row.new, after, resolved, reviews, grant)
        return self.rows[request_id], True

    async def cancel(self, request_id: str, *, actor: Person, at_ms: int) -> ApprovalRequest:
        self._reach()
        self.rows[request_id] = replace(self._pending(request_id), state=State.CANCELLED, resolved_at_ms=at_ms)
        return self.rows[request_id]

    async def expire(self, now_ms: int) -> list[ApprovalRequest]:
        self._reach()
        overdue = [row for row in list(self.rows.values()) if self._expire(row, now_ms)]
        return [self.rows[row.new.id] for row in overdue]

    async def redeem(self, *, requester: Person, digest: bytes, call_id: str, now_ms: int) -> Redemption:
        self._reach()
        fitting = [
            (row, row.grant)
            for row in self.rows.values()
            if row.grant is not None
            and _same(self.grants[row.grant.id][0], requester)
            and self.grants[row.grant.id][1] == digest
            and row.grant.start_at_ms <= now_ms < row.grant.end_at_ms
            and row.grant.revoked_at_ms is None
        ]
        for row, grant in fitting:
            if (grant.id, call_id) in self.uses:
                return Redemption(grant.id, row.new.id)
        for row, grant in sorted(fitting, key=lambda one: (one[1].end_at_ms, one[1].id)):
            if grant.uses_left:
                self.rows[row.new.id] = replace(row, grant=replace(grant, uses_left=grant.uses_left - 1))
                self.uses[grant.id, call_id] = "claimed"
                return Redemption(grant.id, row.new.id)
        return Redemption(None, None)

    def _expire(self, row: ApprovalRequest, now_ms: int) -> bool:
        """Leaves pending as expired if the deadline has passed; tells whether it had."""
        if row.state is not State.PENDING or row.new.expires_at_ms > now_ms:
            return False
        self.rows[row.new.id] = replace(row, state=State.EXPIRED, resolved_at_ms=now_ms)
        return True

    def _reach(self) -> None:
        if self.away:
            raise AWAY

    def _found(self, request_id: str) -> ApprovalRequest:
        if request_id not in self.rows:
            raise PenstockError(Code.NOT_FOUND, "APPROVAL_NOT_FOUND", "no such approval request")
        return self.rows[request_id]

    def _pending(self, request_id: str) -> ApprovalRequest:
        row = self._found(request_id)
        if row.state is not State.PENDING:
            state = row.state.value
            why = f"is {state} already"
            raise PenstockError(Code.WRONG_STATE, "APPROVAL_NOT_PENDING", why, metadata={"state": state})
        return row


def _same(one: Person, other: Person) -> bool:
    return (one.issuer, one.subject) == (other.issuer, other.subject)

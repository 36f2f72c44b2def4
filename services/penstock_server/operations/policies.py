"""Applies, shows and rolls back policy documents."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.policy import Policy
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Clock, PolicyCompiler
from penstock_server.operations.interfaces import PolicyStore, RevisionRow, RuleRow
from penstock_server.operations.journal import Journal

__all__ = ["Applied", "Policies"]

MAX_DOCUMENT_BYTES = 1 << 20
"""Largest policy document in bytes."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Holds what an apply or rollback did, or with dry_run would do."""

    revision: int
    changes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Policies:
    """Keeps the policy. diff and rule_rows come from document/."""

    def __init__(
        self,
        store: PolicyStore,
        active: ActiveState,
        journal: Journal,
        clock: Clock,
        compiler: PolicyCompiler,
        diff: Callable[[Policy | None, Policy], Sequence[str]],
        rule_rows: Callable[[Policy], Sequence[RuleRow]],
    ) -> None:
        self._store = store
        self._active = active
        self._journal = journal
        self._clock = clock
        self._compiler = compiler
        self._diff = diff
        self._rule_rows = rule_rows

    async def apply(self, caller: Principal, document: str, *, dry_run: bool) -> Applied:
        """Validates the whole document and makes it active; a document that changes nothing makes no revision.

        Raises INVALID with every problem, CONFLICT if another change came between.
        """
        if len(document.encode()) > MAX_DOCUMENT_BYTES:
            raise PenstockError(
                Code.INVALID, "POLICY_TOO_LARGE", "the policy document is over 1 MiB: split the upstreams"
            )
        compiled = self._compiler(document)
        row, _ = await self._store.active()
        changes = self._changes(row, compiled.policy)
        if dry_run or (row is not None and row.document == document):
            return Applied(row.number if row else 0, changes, compiled.warnings)
        stored = await self._activate(caller, "policy.apply", "policy.applied", document, compiled.policy, row, changes)
        return Applied(stored.number, changes, compiled.warnings)

    async def rollback(self, caller: Principal, number: int) -> Applied:
        """Makes an earlier revision's document active as a new revision. Raises NOT_FOUND, INVALID, CONFLICT."""
        old = await self.show(number)
        row, _ = await self._store.active()
        policy = self._compiler(old.document).policy
        changes = self._changes(row, policy)
        stored = await self._activate(
            caller, "policy.rollback", "policy.rolled_back", old.document, policy, row, changes
        )
        return Applied(stored.number, changes)

    async def show(self, number: int) -> RevisionRow:
        """Returns one revision, the active one for 0. Raises NOT_FOUND."""
        row = await self._store.revision(number) if number else (await self._store.active())[0]
        if row is None:
            what = f"no policy revision {number}" if number else "no policy was applied yet"
            raise PenstockError(Code.NOT_FOUND, "REVISION_NOT_FOUND", f"{what}: see `penstock-server policy revisions`")
        return row

    async def revisions(self, *, before: int, limit: int) -> list[RevisionRow]:
        """Returns revisions below `before` (0: all), newest first."""
        return await self._store.revisions(before=before, limit=limit)

    def _changes(self, row: RevisionRow | None, policy: Policy) -> tuple[str, ...]:
        return tuple(self._diff(self._compiler(row.document).policy if row else None, policy))

    async def _activate(
        self,
        caller: Principal,
        kind: str,
        done: str,
        document: str,
        policy: Policy,
        row: RevisionRow | None,
        changes: tuple[str, ...],
    ) -> RevisionRow:
        digest = hashlib.sha256(document.encode()).digest()
        async with self._journal.doing(
            kind, done, caller, details={"digest": digest.hex(), "changes": list(changes)[:100]}
        ) as intent:
            stored, epoch = await self._store.add(
                document=document,
                rules=self._rule_rows(policy),
                digest=digest,
                author=caller.subject,
                at_ms=self._clock(),
                expected_active=row.number if row else 0,
            )
            intent.note(revision=stored.number, epoch=epoch)
        await self._active.reload(epoch)
        return stored

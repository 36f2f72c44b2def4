"""Policy revisions and the epoch over SQL."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import RevisionRow, RuleRow
from penstock_server.store.engine import Database
from penstock_server.store.tables import ACTIVE_POLICY, EPOCH, POLICY_REVISION, POLICY_RULE

__all__ = ["SqlPolicyStore", "bump_epoch", "hold_epoch"]

_REVISION = (
    POLICY_REVISION.c.number,
    POLICY_REVISION.c.document,
    POLICY_REVISION.c.digest,
    POLICY_REVISION.c.author,
    POLICY_REVISION.c.created_at_ms,
)


EPOCH_LOCK = int.from_bytes(hashlib.sha256(b"penstock epoch").digest()[:8], "big", signed=True)
"""Number of the advisory lock on PostgreSQL behind which the epoch moves."""


async def bump_epoch(connection: AsyncConnection) -> int:
    """Raises the epoch within the caller's transaction and returns it."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(EPOCH_LOCK)))
    await connection.execute(update(EPOCH).values(value=EPOCH.c.value + 1))
    return int((await connection.execute(select(EPOCH.c.value))).scalar_one())


async def hold_epoch(connection: AsyncConnection) -> int:
    """Returns the epoch and keeps it from moving until the end of the caller's transaction.

    SQLite's writers stand in line anyway. On PostgreSQL many hold the epoch at a time, and who wants to move it waits
    for them, and they for it: a row lock (FOR SHARE) would let new holders go before it for ever. Two statements, for
    a statement sees what was committed before it began, not before it got its lock. Who holds the epoch waits for no
    lock that a bump could have.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock_shared(EPOCH_LOCK)))
    return int((await connection.execute(select(EPOCH.c.value))).scalar_one())


class SqlPolicyStore:
    """Implements PolicyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def epoch(self) -> int:
        """Returns the epoch."""
        async with self._database.read() as connection:
            return int((await connection.execute(select(EPOCH.c.value))).scalar_one())

    async def active(self) -> tuple[RevisionRow | None, int]:
        """Returns the active revision, or None, with the epoch, in one statement."""
        query = (
            select(EPOCH.c.value, *_REVISION)
            .select_from(EPOCH)
            .join(ACTIVE_POLICY, ACTIVE_POLICY.c.id == EPOCH.c.id)
            .outerjoin(POLICY_REVISION, POLICY_REVISION.c.number == ACTIVE_POLICY.c.revision)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one()
        return (_revision(row, row.number) if row.number is not None else None), int(row.value)

    async def revision(self, number: int) -> RevisionRow | None:
        """Returns one revision, or None."""
        async with self._database.read() as connection:
            active = (await connection.execute(select(ACTIVE_POLICY.c.revision))).scalar_one()
            row = (await connection.execute(select(*_REVISION).where(POLICY_REVISION.c.number == number))).one_or_none()
        return _revision(row, active) if row is not None else None

    async def revisions(self, *, before: int, limit: int) -> list[RevisionRow]:
        """Returns revisions below `before` (0: all), newest first."""
        query = select(*_REVISION).order_by(POLICY_REVISION.c.number.desc()).limit(limit)
        if before:
            query = query.where(POLICY_REVISION.c.number < before)
        async with self._database.read() as connection:
            active = (await connection.execute(select(ACTIVE_POLICY.c.revision))).scalar_one()
            rows = (await connection.execute(query)).all()
        return [_revision(row, active) for row in rows]

    async def add(
        self, *, document: str, rules: Sequence[RuleRow], digest: bytes, author: str, at_ms: int, expected_active: int
    ) -> tuple[RevisionRow, int]:
        """Stores a revision, makes it active and bumps the epoch. Raises CONFLICT if another came between."""
        async with self._database.write() as connection:
            epoch = await bump_epoch(connection)  # first: its row lock is what makes writers wait for each other
            active = (await connection.execute(select(ACTIVE_POLICY.c.revision))).scalar_one()
            if (active or 0) != expected_active:
                raise PenstockError(
                    Code.CONFLICT,
                    "POLICY_CHANGED",
                    f"revision {active or 0} became active meanwhile: look at it, then apply again",
                )
            newest = (await connection.execute(select(func.max(POLICY_REVISION.c.number)))).scalar_one()
            number = (newest or 0) + 1
            values = {"document": document, "digest": digest, "author": author, "created_at_ms": at_ms}
            await connection.execute(insert(POLICY_REVISION).values(number=number, **values))
            if rules:
                rows = [{"revision": number, **asdict(rule)} for rule in rules]
                await connection.execute(insert(POLICY_RULE), rows)
            await connection.execute(update(ACTIVE_POLICY).values(revision=number))
        row = RevisionRow(
            number=number, document=document, digest=digest, author=author, created_at_ms=at_ms, active=True
        )
        return row, epoch


def _revision(row: Any, active: int | None) -> RevisionRow:
    return RevisionRow(
        number=row.number,
        document=row.document,
        digest=row.digest,
        author=row.author,
        created_at_ms=row.created_at_ms,
        active=row.number == active,
    )

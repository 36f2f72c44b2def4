"""The audit log over SQL: appends by group commit, reads by number."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from penstock_server.domain.audit import AuditEntry, AuditEvent, AuditPosition
from penstock_server.domain.principal import Principal
from penstock_server.store.engine import Database
from penstock_server.store.group_commit import GroupCommit
from penstock_server.store.tables import AUDIT_ENTRY

__all__ = ["SqlAuditLog"]

ERASED = "[erased]"
"""What stands for the text of an entry whose body was erased."""


class SqlAuditLog:
    """Implements AuditLog and AuditReader for one log."""

    def __init__(self, database: Database, commit: GroupCommit) -> None:
        self._database = database
        self._commit = commit

    async def append(self, event: AuditEvent) -> AuditPosition:
        """Returns once the entry is on disk. Raises UNAVAILABLE."""
        return (await self._commit.append((event,)))[0]

    async def append_many(self, events: Sequence[AuditEvent]) -> list[AuditPosition]:
        """Returns once all entries are on disk, next to each other. Raises UNAVAILABLE."""
        return await self._commit.append(events)

    async def entries(
        self, *, after: int = 0, limit: int = 100, kind: str = "", call_id: str = "", newest: bool = False
    ) -> list[AuditEntry]:
        """Returns entries in ascending order; with newest, the last `limit` ones that match."""
        columns = AUDIT_ENTRY.c
        query = select(columns.log, columns.seq, columns.header, columns.body, columns.leaf_hash, columns.chain_hash)
        query = query.where(columns.log == self._commit.log, columns.seq > after).limit(limit)
        if kind:
            query = query.where(columns.kind == kind)
        if call_id:
            query = query.where(columns.call_id == call_id)
        query = query.order_by(columns.seq.desc() if newest else columns.seq)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = [_entry(row) for row in rows]
        return found[::-1] if newest else found

    async def wait(self, after: int, timeout_s: float) -> None:
        """Returns once this process has written an entry after that number, or at the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._commit.last <= after:
                    await self._commit.committed.wait()
        except TimeoutError:
            pass


def _entry(row: Any) -> AuditEntry:
    header = json.loads(row.header)
    body = json.loads(row.body) if row.body is not None else {}
    actor = body.get("actor", {})
    event = AuditEvent(
        id=header["id"],
        kind=header["kind"],
        at_ms=header["at_ms"],
        actor=Principal(
            issuer=actor.get("issuer", ""),
            subject=actor.get("subject", ERASED),
            groups=frozenset(actor.get("groups", ())),
            owner=actor.get("owner", ""),
            delegator=actor.get("delegator", ""),
        ),
        upstream=header["upstream"],
        method=body.get("method", ""),
        resource=body.get("resource", ERASED),
        effect=header["effect"],
        decision_id=header["decision"],
        call_id=header["call"],
        rules=tuple(header["rules"]),
        reason=body.get("reason", ERASED),
        approval=header["approval"],
        grant=header["grant"],
        policy_revision=header["revision"],
        details=body.get("details", {}),
    )
    return AuditEntry(log=row.log, seq=row.seq, event=event, leaf_hash=row.leaf_hash, chain_hash=row.chain_hash)

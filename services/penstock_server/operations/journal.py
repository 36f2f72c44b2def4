"""Writes to the audit log what people and programs do to the service: the intent before, the outcome after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from penstock_server.domain.audit import AuditEvent
from penstock_server.domain.principal import Principal
from penstock_server.operations.environment import Clock, NewId
from penstock_server.operations.interfaces import AuditLog

__all__ = ["Intent", "Journal"]


@dataclass(slots=True)
class Intent:
    """Holds an entry under way; the operation may add to its outcome's details and change its kind."""

    outcome: AuditEvent

    def note(self, **details: Any) -> None:
        """Adds JSON values to the outcome's details."""
        self.outcome = replace(self.outcome, details={**self.outcome.details, **details})


class Journal:
    """Appends events of operations; every method raises UNAVAILABLE if the log cannot be written."""

    def __init__(self, log: AuditLog, clock: Clock, new_id: NewId) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id

    def event(self, kind: str, actor: Principal, **fields: Any) -> AuditEvent:
        """Returns an event of now."""
        return AuditEvent(id=self._new_id("evt"), kind=kind, at_ms=self._clock(), actor=actor, **fields)

    async def write(self, event: AuditEvent) -> None:
        """Returns once the event is on disk."""
        await self._log.append(event)

    @asynccontextmanager
    async def doing(self, kind: str, done: str, actor: Principal, **fields: Any) -> AsyncIterator[Intent]:
        """Writes `kind` before the body runs, and `done` after it; or `kind`.failed if the body raises."""
        started = self.event(kind, actor, **fields)
        await self._log.append(started)
        intent = Intent(self.event(done, actor, **fields))
        intent.note(intent=started.id)
        try:
            yield intent
        except Exception as error:
            why = getattr(error, "reason", "INTERNAL")
            failed = replace(intent.outcome, kind=f"{kind}.failed", at_ms=self._clock())
            await self._log.append(replace(failed, details={**failed.details, "error": why}))
            raise
        await self._log.append(replace(intent.outcome, at_ms=self._clock()))

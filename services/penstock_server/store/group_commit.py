"""Group commit: one transaction for all that queued while the former one was under way; no delay is ever added.

Audit entries and recorded frames share the transaction, so that they share its one wait for the disk. What a batch
needs is computed before it is written: sequence numbers, leaf hashes and the chain. If a batch fails, every waiter is
told UNAVAILABLE and the end of the log is read anew before the next one. A commit whose answer was lost may so turn out
to be on disk: it is then a proper link of the chain, and only its waiters did not learn of it.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock_server.domain.audit import (
    CHAIN_START,
    AuditEvent,
    AuditPosition,
    body_commitment,
    body_json,
    chain_hash,
    header_json,
    leaf_hash,
)
from penstock_server.domain.errors import Code, PenstockError

__all__ = ["Batch", "GroupCommit", "LogEnd", "Writer"]

MAX_BATCH = 256
"""Most audit entries in one transaction: with more, the first waits longer than the disk saves."""

MAX_BATCH_FRAMES = 1024
"""Most frames in one transaction."""

SALT_BYTES = 32
"""Length of the salt of a body's commitment, bytes."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Holds the last entry's number (0: none) and chain hash."""

    seq: int
    chain: bytes


@dataclass(slots=True)
class Batch:
    """Holds the rows of one transaction: audit_entry in the order of its columns, and frame likewise."""

    entries: list[dict[str, Any]]
    frames: list[dict[str, Any]]


class Writer(Protocol):
    """Writes batches to one database."""

    async def end(self, log: str) -> LogEnd:
        """Returns the end of the log. Raises UNAVAILABLE."""
        ...

    async def write(self, batch: Batch) -> int:
        """Commits the rows, durably, and returns the epoch read in that transaction. Raises anything if it did not."""
        ...

    async def close(self) -> None:
        """Lets go of the database."""
        ...


@dataclass(slots=True)
class _Job:
    """Holds what one caller wants written, and whom to tell."""

    events: Sequence[AuditEvent]
    frames: list[dict[str, Any]]
    done: "asyncio.Future[list[AuditPosition]]"


class GroupCommit:
    """Runs the one writing task of a process."""

    def __init__(self, writer: Writer, log: str) -> None:
        self.log = log
        self._writer = writer
        self._queue: list[_Job] = []
        self._task: asyncio.Task[None] | None = None
        self._end: LogEnd | None = None
        self._closed = False
        self.committed = asyncio.Event()
        """Set at each commit of entries; whoever waits replaces nothing, it clears after waking."""

    async def append(
        self, events: Sequence[AuditEvent], frames: list[dict[str, Any]] | None = None
    ) -> list[AuditPosition]:
        """Returns once all is on disk. Raises UNAVAILABLE if that is not certain."""
        if self._closed:
            raise _unavailable("shutting down")
        done: asyncio.Future[list[AuditPosition]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Job(events, frames or [], done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return await done

    async def close(self) -> None:
        """Writes what is queued, then closes the writer."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._writer.close()

    async def _run(self) -> None:
        try:
            while self._queue:
                await self._commit(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Job]:
        """Removes the next batch from the queue: at least one job, then as many as fit."""
        events = frames = count = 0
        for job in self._queue:
            events += len(job.events)
            frames += len(job.frames)
            if count and (events > MAX_BATCH or frames > MAX_BATCH_FRAMES):
                break
            count += 1
        jobs, self._queue = self._queue[:count], self._queue[count:]
        return jobs

    async def _commit(self, jobs: list[_Job]) -> None:
        """Writes one batch and tells its waiters; never raises."""
        try:
            if self._end is None:
                self._end = await self._writer.end(self.log)
            batch, end = self._seal(jobs, self._end)
            epoch = await self._writer.write(batch)
        except Exception as error:
            self._end = None
            refusal = error if isinstance(error, PenstockError) else _unavailable(type(error).__name__)
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(refusal)
            return
        seq = self._end.seq
        self._end = end
        for job in jobs:
            first, seq = seq + 1, seq + len(job.events)
            if not job.done.done():
                job.done.set_result([AuditPosition(self.log, at, epoch) for at in range(first, seq + 1)])
        if batch.entries:
            self.committed.set()

    def _seal(self, jobs: list[_Job], end: LogEnd) -> tuple[Batch, LogEnd]:
        """Returns the rows of the jobs, numbered and chained from that end, and the new end."""
        seq, chain = end.seq, end.chain
        batch = Batch([], [])
        for job in jobs:
            for event in job.events:
                seq += 1
                header, body, salt = header_json(self.log, seq, event), body_json(event), os.urandom(SALT_BYTES)
                commitment = body_commitment(salt, body)
                leaf = leaf_hash(header, commitment)
                chain = chain_hash(chain, leaf)
                row = {"log": self.log, "seq": seq, "kind": event.kind, "call_id": event.call_id, "header": header}
                row.update(body=body, salt=salt, commitment=commitment, leaf_hash=leaf, chain_hash=chain)
                batch.entries.append(row)
            batch.frames.extend(job.frames)
        return batch, LogEnd(seq, chain)


EMPTY_LOG = LogEnd(0, CHAIN_START)
"""The end of a log without entries."""


def _unavailable(why: str) -> PenstockError:
    return PenstockError(
        Code.UNAVAILABLE,
        "AUDIT_UNAVAILABLE",
        f"the audit log cannot be written now ({why}), so nothing is allowed: see that the database runs and has room",
        retry_after_ms=1000,
    )

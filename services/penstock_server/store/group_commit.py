"""Group commit: one transaction for all that queued while the former one was under way; no delay is ever added.

Audit entries and recorded frames share the transaction, so that they share its one wait for the disk. What a batch
needs is computed before it is written: sequence numbers, leaf hashes and the chain. If a batch fails, every waiter is
told UNAVAILABLE and the end of the log is read anew before the next one. A commit whose answer was lost may so turn out
to be on disk: it is then a proper link of the chain, and only its waiters did not learn of it.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

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

FRAME_BYTES_BESIDE = 128 * 1024
"""Bytes of frames in a transaction that agents wait for; one batch at least."""
FRAME_BYTES_ALONE = 1024 * 1024
"""Bytes of frames in a transaction that nobody but recorders waits for."""

Row: TypeAlias = tuple[object, ...]
BatchRow: TypeAlias = tuple[str, str, int, int, bytes]
"""A row of frame_batch."""
ENTRY_COLUMNS = ("log", "seq", "kind", "call_id", "header", "body", "salt", "commitment", "leaf_hash", "chain_hash")
"""Columns of audit_entry, as rows give them."""
FRAME_COLUMNS = ("shim", "run_id", "first_seq", "last_seq", "frames")
"""Columns of frame_batch, as rows give them."""

SALT_BYTES = 32
"""Length of the salt of a body's commitment, bytes."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Holds the last entry's number (0: none) and chain hash."""

    seq: int
    chain: bytes


@dataclass(slots=True)
class Batch:
    """Holds the rows of one transaction, values in the order of ENTRY_COLUMNS and FRAME_COLUMNS."""

    entries: list[Row]
    frames: list[BatchRow]


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


_Body: TypeAlias = tuple[str, bytes, bytes]
"""Body, salt and commitment of an entry."""


@dataclass(slots=True)
class _Job:
    """Holds what one caller wants written, and whom to tell."""

    events: Sequence[AuditEvent]
    bodies: list[_Body]
    frames: list[BatchRow]
    done: "asyncio.Future[list[AuditPosition]]"


class GroupCommit:
    """Runs the one writing task of a process."""

    def __init__(self, writer: Writer, log: str) -> None:
        self.log = log
        self._writer = writer
        self._events: deque[_Job] = deque()
        self._frames: deque[_Job] = deque()
        self._task: asyncio.Task[None] | None = None
        self._end: LogEnd | None = None
        self._closed = False
        self.failing = False
        """True from a batch that could not be written to the next one that could."""
        self.last = 0
        """Number of the last entry that this process has committed; 0 before the first."""
        self.committed = asyncio.Event()
        """Set at the next commit of entries, after `last`; another one then takes its place, so that all wake once."""

    async def append(self, events: Sequence[AuditEvent], frames: list[BatchRow] | None = None) -> list[AuditPosition]:
        """Returns once all is on disk. Raises UNAVAILABLE if that is not certain, and INVALID for text that is none."""
        if self._closed:
            raise _unavailable("shutting down")
        try:
            bodies = _bodies(events)
        except UnicodeError:
            raise PenstockError(Code.INVALID, "TEXT_INVALID", "the audit log takes Unicode text only") from None
        done: asyncio.Future[list[AuditPosition]] = asyncio.get_running_loop().create_future()
        (self._events if events else self._frames).append(_Job(events, bodies, frames or [], done))
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
            while self._events or self._frames:
                await self._commit(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Job]:
        """Removes the next batch: entries first, for agents wait for them; frames ride along, fewer beside entries."""
        jobs = _first(self._events, MAX_BATCH, lambda job: len(job.events))
        most = FRAME_BYTES_BESIDE if jobs else FRAME_BYTES_ALONE
        return jobs + _first(self._frames, most, lambda job: sum(len(encoded) for *_, encoded in job.frames))

    async def _commit(self, jobs: list[_Job]) -> None:
        """Writes one batch and tells its waiters; never raises."""
        try:
            if self._end is None:
                self._end = await self._writer.end(self.log)
            batch, end = self._seal(jobs, self._end)
            epoch = await self._writer.write(batch)
        except Exception as error:
            self.failing = True
            self._end = None
            refusal = error if isinstance(error, PenstockError) else _unavailable(type(error).__name__)
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(refusal)
            return
        self.failing = False
        seq = self._end.seq
        self._end = end
        for job in jobs:
            first, seq = seq + 1, seq + len(job.events)
            if not job.done.done():
                job.done.set_result([AuditPosition(self.log, at, epoch) for at in range(first, seq + 1)])
        if batch.entries:
            self.last = end.seq
            now, self.committed = self.committed, asyncio.Event()
            now.set()

    def _seal(self, jobs: list[_Job], end: LogEnd) -> tuple[Batch, LogEnd]:
        """Returns the rows of the jobs, numbered and chained from that end, and the new end."""
        seq, chain = end.seq, end.chain
        batch = Batch([], [])
        for job in jobs:
            for event, (body, salt, commitment) in zip(job.events, job.bodies, strict=True):
                seq += 1
                header = header_json(self.log, seq, event)
                leaf = leaf_hash(header, commitment)
                chain = chain_hash(chain, leaf)
                row = (self.log, seq, event.kind, event.call_id, header, body, salt, commitment, leaf, chain)
                batch.entries.append(row)
            batch.frames.extend(job.frames)
        return batch, LogEnd(seq, chain)


def _bodies(events: Sequence[AuditEvent]) -> list[_Body]:
    """Returns what of the entries does not depend on their place; made while the former batch is being written."""
    salts = os.urandom(SALT_BYTES * len(events))
    bodies = []
    for number, event in enumerate(events):
        body, salt = body_json(event), salts[number * SALT_BYTES : (number + 1) * SALT_BYTES]
        bodies.append((body, salt, body_commitment(salt, body)))
    return bodies


def _first(queue: "deque[_Job]", most: int, size: Callable[[_Job], int]) -> list[_Job]:
    """Removes and returns the first jobs of a queue: one at least, then as many as fit."""
    jobs: list[_Job] = []
    total = 0
    while queue and (not jobs or total + size(queue[0]) <= most):
        total += size(queue[0])
        jobs.append(queue.popleft())
    return jobs


EMPTY_LOG = LogEnd(0, CHAIN_START)
"""The end of a log without entries."""


def _unavailable(why: str) -> PenstockError:
    return PenstockError(
        Code.UNAVAILABLE,
        "AUDIT_UNAVAILABLE",
        f"the audit log cannot be written now ({why}), so nothing is allowed: see that the database runs and has room",
        retry_after_ms=1000,
    )

"""Recorded frames over SQL: whole batches, idempotent by their numbers, written with the audit log's group commit.

Frames whose numbers are stored already are left out, so the batches of a run follow each other without gap or overlap.
Only a shim that sends to two services at once may have a frame stored twice. There is no index by call: what belongs to
one call is found in the batches of its run.
"""

import asyncio
from collections import OrderedDict

from sqlalchemy import func, select

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import SentFrames
from penstock_server.store.engine import Database
from penstock_server.store.group_commit import GroupCommit
from penstock_server.store.tables import FRAME_BATCH

__all__ = ["SqlFrameStore"]

MAX_RUNS = 1024
"""Runs whose last number is remembered; others are read again."""


class _Run:
    """Holds what is known of one run. last: its last number on disk; None if it must be read."""

    __slots__ = ("last", "writing")

    def __init__(self) -> None:
        self.last: int | None = None
        self.writing = asyncio.Lock()


class SqlFrameStore:
    """Implements FrameStore."""

    def __init__(self, database: Database, commit: GroupCommit) -> None:
        self._database = database
        self._commit = commit
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()

    def forget(self, shim: str) -> None:
        """Forgets where the shim's runs end; what is being written is known again once it is on disk."""
        for (name, _), run in self._runs.items():
            if name == shim:
                run.last = None

    async def append(self, *, shim: str, run_id: str, batch: SentFrames) -> int:
        """Stores what is new in the batch; returns the last number of the run. Raises INVALID (FRAME_GAP)."""
        run = self._runs.setdefault((shim, run_id), _Run())
        self._runs.move_to_end((shim, run_id))
        if len(self._runs) > MAX_RUNS:
            oldest = next((key for key, one in self._runs.items() if not one.writing.locked()), (shim, run_id))
            del self._runs[oldest]
        work = asyncio.get_running_loop().create_task(self._append(run, shim, run_id, batch))
        return await asyncio.shield(work)  # a caller that has gone does not let the next one in before this is on disk

    async def _append(self, run: "_Run", shim: str, run_id: str, batch: SentFrames) -> int:
        async with run.writing:
            last, run.last = run.last, None  # unknown while it is being written, and if that fails
            if last is None or batch.first > last + 1:  # what lies between may have come to another node
                last = await self._stored(shim, run_id)
            if batch.first > last + 1:
                raise PenstockError(
                    Code.INVALID, "FRAME_GAP", f"frame {batch.first} does not follow {last}: send the missing ones"
                )
            if batch.last > last:
                if batch.first <= last:
                    last = await self._stored(shim, run_id)
                    batch = batch.after(last)
                if batch.last > last:
                    await self._commit.append((), [(shim, run_id, batch.first, batch.last, batch.encoded())])
                    last = batch.last
            run.last = last
            return last

    async def _stored(self, shim: str, run_id: str) -> int:
        query = select(func.max(FRAME_BATCH.c.last_seq)).where(
            FRAME_BATCH.c.shim == shim, FRAME_BATCH.c.run_id == run_id
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one() or 0)

"""Recorded frames over SQL: whole batches, idempotent by their numbers, written with the audit log's group commit.

A batch that was stored, and whose acknowledgement was lost, may come again with more frames behind it. It is then
stored whole: batches of a run may overlap, with equal frames in both, but leave no gap between them.
"""

from sqlalchemy import func, select

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import SentFrames
from penstock_server.store.engine import Database
from penstock_server.store.group_commit import GroupCommit
from penstock_server.store.tables import FRAME_BATCH

__all__ = ["SqlFrameStore"]

MAX_RUNS = 1024
"""Runs whose last number is remembered; others are read again."""


class SqlFrameStore:
    """Implements FrameStore."""

    def __init__(self, database: Database, commit: GroupCommit) -> None:
        self._database = database
        self._commit = commit
        self._last: dict[tuple[str, str], int] = {}

    async def append(self, *, shim: str, run_id: str, batch: SentFrames) -> int:
        """Stores the batch if any of it is new; returns the last number of the run. Raises INVALID (FRAME_GAP)."""
        run = (shim, run_id)
        last = self._last.pop(run, None)
        if last is None or batch.first > last + 1:  # what lies between may have come to another node
            last = await self._stored(shim, run_id)
        if batch.first > last + 1:
            raise PenstockError(
                Code.INVALID, "FRAME_GAP", f"frame {batch.first} does not follow {last}: send the missing ones"
            )
        if batch.last > last:
            await self._commit.append((), [(shim, run_id, batch.first, batch.last, batch.encoded())])
            last = batch.last
        if len(self._last) >= MAX_RUNS:
            self._last.clear()
        self._last[run] = last
        return last

    async def _stored(self, shim: str, run_id: str) -> int:
        query = select(func.max(FRAME_BATCH.c.last_seq)).where(
            FRAME_BATCH.c.shim == shim, FRAME_BATCH.c.run_id == run_id
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one() or 0)

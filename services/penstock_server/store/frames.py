"""Recorded frames over SQL: idempotent by (shim, run, number), written with the audit log's group commit."""

from collections.abc import Sequence

from sqlalchemy import func, select

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import FrameRow
from penstock_server.store.engine import Database
from penstock_server.store.group_commit import GroupCommit
from penstock_server.store.tables import FRAME

__all__ = ["SqlFrameStore"]

MAX_RUNS = 1024
"""Runs whose last number is remembered; others are read again."""


class SqlFrameStore:
    """Implements FrameStore."""

    def __init__(self, database: Database, commit: GroupCommit) -> None:
        self._database = database
        self._commit = commit
        self._last: dict[tuple[str, str], int] = {}

    async def append(self, *, shim: str, run_id: str, frames: Sequence[FrameRow]) -> int:
        """Stores frames that are not stored yet; returns the last number of the run. Raises INVALID (FRAME_GAP)."""
        run = (shim, run_id)
        last = self._last.pop(run, None)
        if last is None:
            last = await self._stored(shim, run_id)
        new = [frame for frame in frames if frame.seq > last]
        for expected, frame in enumerate(new, last + 1):
            if frame.seq != expected:
                raise PenstockError(
                    Code.INVALID,
                    "FRAME_GAP",
                    f"frame {frame.seq} does not follow {expected - 1}: send the missing ones",
                )
        if new:
            await self._commit.append((), [_row(shim, run_id, frame) for frame in new])
            last = new[-1].seq
        if len(self._last) >= MAX_RUNS:
            self._last.clear()
        self._last[run] = last
        return last

    async def _stored(self, shim: str, run_id: str) -> int:
        query = select(func.max(FRAME.c.seq)).where(FRAME.c.shim == shim, FRAME.c.run_id == run_id)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one() or 0)


def _row(shim: str, run_id: str, frame: FrameRow) -> dict[str, object]:
    """Returns the row; a NUL, which PostgreSQL refuses in text, is replaced, or it would fail the whole commit."""
    row: dict[str, object] = {
        "shim": shim,
        "run_id": run_id,
        "seq": frame.seq,
        "call_id": frame.call_id,
        "kind": frame.kind,
        "at_ms": frame.at_ms,
        "upstream": frame.upstream,
        "session": frame.session,
        "start": frame.start,
        "headers": frame.headers_json,
        "body": frame.body,
        "outcome": frame.outcome,
        "masked": frame.masked_json,
    }
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}

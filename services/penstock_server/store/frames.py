"""Recorded frames over SQL: idempotent by (shim, run, number), written with the audit log's group commit."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import func, select

from penstock_server.domain.audit import canonical_json
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
        if last is None or (frames and frames[0].seq > last + 1):  # what lies between may have come to another node
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


def _row(shim: str, run_id: str, frame: FrameRow) -> tuple[object, ...]:
    """Returns the row, in the order of FRAME_COLUMNS."""
    return (
        shim,
        run_id,
        frame.seq,
        _text(frame.call_id),
        frame.kind,
        frame.at_ms,
        _text(frame.upstream),
        _text(frame.session),
        _text(frame.start),
        _headers_json(frame.headers) if frame.headers else "[]",
        frame.body,
        _text(frame.outcome),
        _text(canonical_json(frame.masked)) if frame.masked else "{}",
    )


def _text(text: str) -> str:
    """Returns the text without NUL, which PostgreSQL refuses: one would fail the whole commit."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


@lru_cache(1024)
def _headers_json(headers: tuple[tuple[str, str], ...]) -> str:
    """Returns [[name, value], ...] as canonical JSON; the heads of one agent are alike."""
    return canonical_json([[name, _text(value)] for name, value in headers])

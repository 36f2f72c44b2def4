"""How long one commit takes: a single audit row, in a log of its own in the database of http.asked.

Two figures, since it may be argued which of them a request cannot do without: the group commit as the service calls it,
with its hash chain and its hop to the writing thread; and SQLite's transaction alone.
"""

import asyncio
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

from bench.audit_row import audit_row
from penstock_server.store import open_store

__all__ = ["bare_commit_ms", "group_commit_ms"]

ROWS = 200
"""Commits of one measurement; about a tenth of a second."""
LOG = "bench"
COPY = (
    "INSERT INTO audit_entry SELECT 'bench-bare', seq, kind, call_id, header, body, salt, commitment, leaf_hash,"
    " chain_hash FROM audit_entry WHERE log = ? AND seq = ?"
)


def group_commit_ms(database: Path) -> float:
    """Returns the median time of a group commit of one row, milliseconds, with nothing else going on."""
    return asyncio.run(_group(database))


async def _group(database: Path) -> float:
    store = await open_store(f"sqlite+aiosqlite:///{database}", LOG)
    try:
        times = []
        for _ in range(ROWS):
            event = audit_row()
            begin = time.perf_counter()
            await store.audit.append(event)
            times.append((time.perf_counter() - begin) * 1e3)
        return statistics.median(times)
    finally:
        await store.close()


def bare_commit_ms(database: Path) -> float:
    """Returns the median time of one SQLite transaction that copies such a row, milliseconds; after group_commit_ms."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=5)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        (last,) = connection.execute("SELECT max(seq) FROM audit_entry WHERE log = ?", (LOG,)).fetchone()
        times = []
        for seq in range(last - ROWS + 1, last + 1):
            begin = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(COPY, (LOG, seq))
            connection.execute("COMMIT")
            times.append((time.perf_counter() - begin) * 1e3)
        return statistics.median(times)

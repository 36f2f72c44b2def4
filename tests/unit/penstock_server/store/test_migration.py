"""Tests of migration: private files, no half schema, many migrators at once."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from penstock.v1.action_pb2 import Header
from penstock.v1.recording_pb2 import FRAME_KIND_RESPONSE_BODY, Frame, FrameKind, RecordRequest
from penstock_server.domain.errors import PenstockError
from penstock_server.store.engine import Database
from penstock_server.store.migration import _upgrade, at_head, migrate

pytestmark = pytest.mark.anyio


async def test_a_migrated_database_is_at_the_newest_schema(database_url: str) -> None:
    """Migrating again changes nothing and names the same revision."""
    database = Database(database_url)
    assert await at_head(database)
    async with database.write() as connection:
        await connection.execute(text("UPDATE epoch SET value = 41"))
    first = await asyncio.to_thread(migrate, database_url)
    assert await asyncio.to_thread(migrate, database_url) == first != ""
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT value FROM epoch"))).scalar_one() == 41
    await database.close()


async def test_a_database_of_another_revision_is_told_apart(database_url: str) -> None:
    """Neither an older schema nor one that this release does not know passes."""
    database = Database(database_url)
    for revision in ("0000", "9999"):
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        assert not await at_head(database)
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    assert not await at_head(database)
    await database.close()


async def test_migrators_that_start_together_make_one_schema(database_url: str) -> None:
    """Each ends well; the epoch's one row is not made twice."""
    database = Database(database_url)
    await _clear(database)
    assert not await at_head(database)
    done = await asyncio.gather(*(asyncio.to_thread(migrate, database_url) for _ in range(3)))
    assert len(set(done)) == 1
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM epoch"))).scalar_one() == 1
    assert await at_head(database)
    await database.close()


async def _clear(database: Database) -> None:
    """Drops every table."""
    names = ["grant_use", "access_grant", "approval_review", "request_event", "request_transition"]
    names += ["approval_requirement", "approval_request", "policy_rule", "active_policy", "policy_revision"]
    names += ["epoch", "access_lock", "outbox", "secret_version", "shim", "frame_batch", "audit_entry"]
    async with database.write() as connection:
        for name in [*names, "alembic_version"]:
            await connection.execute(text(f"DROP TABLE {name}"))


async def test_frames_of_the_first_schema_are_moved_into_batches(database_url: str) -> None:
    """Each with all it held, in order, runs apart; what kept single frames is gone."""
    database = Database(database_url)
    await _clear(database)
    insert = text(
        "INSERT INTO frame (shim, run_id, seq, call_id, kind, at_ms, upstream, session, start, headers, body, outcome,"
        " masked) VALUES (:shim, :run, :seq, 'c', :kind, 5, 'u', 's', '200 é', :headers, :body, 'complete',"
        " :masked)"
    )
    kinds = ["request", "response_body", "response", "request_body", "end"]
    async with database.write() as connection:
        await connection.run_sync(_upgrade, "0001")
        for shim, run, count in (("one", "a", 20), ("one", "b", 1), ("two", "a", 5)):
            for seq in range(1, count + 1):
                row = {"shim": shim, "run": run, "seq": seq, "kind": kinds[seq % 5], "headers": '[["x","é"]]'}
                await connection.execute(insert, {**row, "body": b"\xff\0", "masked": '{"card":2}'})
    await asyncio.to_thread(migrate, database_url)
    async with database.read() as connection:
        query = "SELECT shim, run_id, first_seq, last_seq, frames FROM frame_batch ORDER BY shim, run_id, first_seq"
        rows = (await connection.execute(text(query))).all()
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert [(row.shim, row.run_id, row.first_seq, row.last_seq) for row in rows] == [
        ("one", "a", 1, 16),
        ("one", "a", 17, 20),
        ("one", "b", 1, 1),
        ("two", "a", 1, 5),
    ]
    frames = [frame for row in rows for frame in RecordRequest.FromString(row.frames).frames]
    assert [frame.seq for frame in frames] == [*range(1, 21), 1, *range(1, 6)]
    assert [FrameKind.Name(frame.kind) for frame in frames[-5:]] == [
        f"FRAME_KIND_{kinds[seq % 5].upper()}" for seq in range(1, 6)
    ]
    header = Header(name="x", value="é".encode())
    assert frames[20] == Frame(
        seq=1,
        call_id="c",
        kind=FRAME_KIND_RESPONSE_BODY,
        at_ms=5,
        upstream="u",
        session="s",
        start="200 é",
        headers=[header],
        body=b"\xff\0",
        outcome="complete",
        masked={"card": 2},
    )
    assert "frame" not in tables
    assert await at_head(database)
    await database.close()


async def test_a_sqlite_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask; the write-ahead log beside it too."""
    path = tmp_path / "penstock.db"
    await asyncio.to_thread(migrate, f"sqlite+aiosqlite:///{path}")
    for file in os.scandir(tmp_path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


async def test_migrating_again_drops_no_lock_of_this_process(tmp_path: Path) -> None:
    """Closing any descriptor of the file would: then another process might remove the log under an open connection."""
    path = tmp_path / "penstock.db"
    await asyncio.to_thread(migrate, f"sqlite+aiosqlite:///{path}")
    database = Database(f"sqlite+aiosqlite:///{path}")
    async with database.read() as connection:
        await connection.execute(text("SELECT value FROM epoch"))
        assert await _is_locked(path)
        await asyncio.to_thread(migrate, f"sqlite+aiosqlite:///{path}")
        assert await _is_locked(path)
    await database.close()
    assert not await _is_locked(path)


async def _is_locked(path: Path) -> bool:
    """Tells whether another process finds SQLite's shared lock on the file (SHARED_FIRST in its os.h)."""
    script = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)\n"
        "    except OSError: sys.exit(7)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path))
    status = await process.wait()
    assert status in (0, 7)
    return status == 7


async def test_a_database_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """The refusal names no path."""
    with pytest.raises(PenstockError) as refused:
        await asyncio.to_thread(migrate, f"sqlite+aiosqlite:///{tmp_path / 'absent' / 'p.db'}")
    assert refused.value.reason == "DATABASE_FOLDER"
    assert str(tmp_path) not in refused.value.message

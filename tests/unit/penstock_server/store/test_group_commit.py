"""Tests of group commit: gapless, chained, and honest when the disk is not."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from penstock_server.domain.audit import (
    AuditEvent,
    body_commitment,
    body_json,
    canonical_json,
    chain_hash,
    header_json,
    leaf_hash,
)
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.store.group_commit import (
    EMPTY_LOG,
    ENTRY_COLUMNS,
    FRAME_BYTES_BESIDE,
    MAX_BATCH,
    Batch,
    BatchRow,
    GroupCommit,
    LogEnd,
)

pytestmark = pytest.mark.anyio


def event(number: int) -> AuditEvent:
    """Returns an event that is told from others by its number."""
    return AuditEvent(id=f"evt_{number}", kind="decision", at_ms=number, actor=Principal("i", "s"))


@dataclass
class MemoryWriter:
    """Keeps batches in memory; fails when told to, before or after keeping the batch."""

    batches: list[Batch] = field(default_factory=list)
    fail_before: int = 0
    fail_after: int = 0
    closed: bool = False

    async def end(self, log: str) -> LogEnd:
        """Returns the end of what was kept."""
        rows = _rows(self)
        return LogEnd(rows[-1]["seq"], rows[-1]["chain_hash"]) if rows else EMPTY_LOG

    async def write(self, batch: Batch) -> int:
        """Keeps the batch."""
        await asyncio.sleep(0)
        if self.fail_before:
            self.fail_before -= 1
            raise OSError("disk full, secret text")
        self.batches.append(batch)
        if self.fail_after:
            self.fail_after -= 1
            raise OSError("connection lost")
        return 7

    async def close(self) -> None:
        """Notes it."""
        self.closed = True


def _rows(writer: MemoryWriter) -> list[dict[str, Any]]:
    """Returns all entries with the names of their columns."""
    return [dict(zip(ENTRY_COLUMNS, row, strict=True)) for batch in writer.batches for row in batch.entries]


def check_chain(writer: MemoryWriter) -> int:
    """Recomputes every hash; returns the number of entries."""
    chain = bytes(32)
    rows = _rows(writer)
    for number, row in enumerate(rows, 1):
        assert row["seq"] == number
        assert row["commitment"] == body_commitment(row["salt"], row["body"])
        assert row["leaf_hash"] == leaf_hash(row["header"], row["commitment"])
        chain = chain_hash(chain, row["leaf_hash"])
        assert row["chain_hash"] == chain
    return len(rows)


async def test_what_queues_during_a_commit_goes_into_the_next_one() -> None:
    """Many waiters share few transactions, and each learns its own place."""
    writer = MemoryWriter()
    commit = GroupCommit(writer, "main")
    positions = await asyncio.gather(*(commit.append([event(n)]) for n in range(600)))
    assert sorted(position[0].seq for position in positions) == list(range(1, 601))
    assert {position[0].epoch for position in positions} == {7}
    assert check_chain(writer) == 600
    assert len(writer.batches) <= 4
    assert max(len(batch.entries) for batch in writer.batches) <= MAX_BATCH
    await commit.close()
    assert writer.closed


async def test_entries_go_first_and_frames_ride_along() -> None:
    """Agents wait for entries: what queued later as an entry is committed before frames that do not fit beside it."""
    writer = MemoryWriter()
    commit = GroupCommit(writer, "main")
    frames: list[BatchRow] = [("one", "run", 1, 2, bytes(FRAME_BYTES_BESIDE))]
    recorded = [commit.append((), frames) for _ in range(3)]
    await asyncio.gather(*recorded, commit.append([event(1)]))
    assert [(len(batch.entries), len(batch.frames)) for batch in writer.batches] == [
        (1, 1),
        (0, 2),
    ]
    assert check_chain(writer) == 1


async def test_events_of_one_call_stay_together() -> None:
    """Their positions are consecutive and in order."""
    commit = GroupCommit(MemoryWriter(), "main")
    first, second = await asyncio.gather(
        commit.append([event(1), event(2), event(3)]), commit.append([event(4), event(5)])
    )
    assert [p.seq for p in first] == [1, 2, 3]
    assert [p.seq for p in second] == [4, 5]


async def test_a_failed_batch_tells_every_waiter_and_leaves_no_gap() -> None:
    """The next append succeeds without a restart; the error's own text is not passed on."""
    writer = MemoryWriter(fail_before=1)
    commit = GroupCommit(writer, "main")
    results = await asyncio.gather(commit.append([event(1)]), commit.append([event(2)]), return_exceptions=True)
    assert all(isinstance(result, PenstockError) and result.reason == "AUDIT_UNAVAILABLE" for result in results)
    assert "secret text" not in str(results[0])
    assert (await commit.append([event(3)]))[0].seq == 1
    assert check_chain(writer) == 1


async def test_a_log_that_cannot_be_written_is_known_to_fail_until_it_can() -> None:
    """Health asks."""
    commit = GroupCommit(MemoryWriter(fail_before=1), "main")
    assert not commit.failing
    with pytest.raises(PenstockError):
        await commit.append([event(1)])
    assert commit.failing
    await commit.append([event(2)])
    assert not commit.failing


async def test_a_commit_whose_answer_was_lost_does_not_fork_the_chain() -> None:
    """The end is read anew, so the next entry follows what turned out to be on disk."""
    writer = MemoryWriter(fail_after=1)
    commit = GroupCommit(writer, "main")
    with pytest.raises(PenstockError):
        await commit.append([event(1)])
    assert (await commit.append([event(2)]))[0].seq == 2
    assert check_chain(writer) == 2


async def test_text_that_is_none_fails_its_own_entry_only() -> None:
    """A lone surrogate has no UTF-8: the others of its time are written."""
    writer = MemoryWriter()
    commit = GroupCommit(writer, "main")
    broken = AuditEvent(id="e", kind="k", at_ms=1, actor=Principal("i", "s"), reason="\ud800")
    results = await asyncio.gather(commit.append([event(1)]), commit.append([broken]), return_exceptions=True)
    assert isinstance(results[1], PenstockError) and results[1].reason == "TEXT_INVALID"
    assert isinstance(results[0], list) and not commit.failing
    assert check_chain(writer) == 1


async def test_a_waiter_that_gives_up_takes_nobody_with_it() -> None:
    """Cancelling one append leaves the others of its batch alone."""
    writer = MemoryWriter()
    commit = GroupCommit(writer, "main")
    leaving = asyncio.create_task(commit.append([event(1)]))
    staying = asyncio.create_task(commit.append([event(2)]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[0].seq == 2
    assert check_chain(writer) == 2


async def test_nothing_is_taken_after_close() -> None:
    """A late append is refused, not lost."""
    commit = GroupCommit(MemoryWriter(), "main")
    await commit.close()
    with pytest.raises(PenstockError):
        await commit.append([event(1)])


def test_the_header_and_the_body_are_canonical() -> None:
    """They are written by hand for speed, and equal to the canonical text of what they hold, awkward text included."""
    awkward = 'a"\\\x01\u2028é«'
    one = AuditEvent(
        id=awkward,
        kind="k",
        at_ms=-1,
        actor=Principal(awkward, "ann", frozenset({"b", "a"}), "own", "del"),
        upstream=awkward,
        method="GET",
        resource=awkward,
        effect="deny",
        decision_id="d",
        call_id="c",
        rules=(awkward, "r"),
        reason=awkward,
        approval="apr",
        grant="grt",
        policy_revision=3,
        details={"b": [1, None], "a": {"y": True, "x": awkward}},
    )
    for text in (header_json(awkward, 7, one), body_json(one)):
        assert canonical_json(json.loads(text)) == text
    header, body = json.loads(header_json("main", 7, one)), json.loads(body_json(one))
    assert (header["v"], header["log"], header["seq"], header["at_ms"], header["revision"]) == (1, "main", 7, -1, 3)
    assert (header["id"], header["kind"], header["effect"], header["decision"]) == (awkward, "k", "deny", "d")
    assert (header["call"], header["upstream"], header["rules"]) == ("c", awkward, [awkward, "r"])
    assert (header["approval"], header["grant"]) == ("apr", "grt")
    assert body["actor"] == {
        "issuer": awkward,
        "subject": "ann",
        "groups": ["a", "b"],
        "owner": "own",
        "delegator": "del",
    }
    assert (body["method"], body["resource"], body["reason"]) == ("GET", awkward, awkward)
    assert body["details"] == one.details


def test_the_header_and_the_body_hold_different_parts() -> None:
    """What is erasable is not in the header."""
    one = AuditEvent(id="e", kind="k", at_ms=1, actor=Principal("iss", "ann"), resource="/r", reason="why")
    assert "ann" not in header_json("main", 1, one)
    assert "ann" in body_json(one)
    assert "/r" not in header_json("main", 1, one)

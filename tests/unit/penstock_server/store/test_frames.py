"""Tests of recorded frames: each once, none missing, whatever is sent again."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from penstock_server.domain.errors import PenstockError
from penstock_server.operations.interfaces import FrameRow
from penstock_server.store import Store, frames, open_store
from penstock_server.store.tables import FRAME

pytestmark = pytest.mark.anyio

RUN, OTHER = "a" * 32, "b" * 32


def frame(seq: int, **changes: object) -> FrameRow:
    """Returns the frame of that number."""
    row = FrameRow(
        seq=seq,
        call_id="c" * 32,
        kind="response_body",
        at_ms=1_900_000_000_000 + seq,
        upstream="billing",
        session="s",
        start="",
        headers=(("a", "é"), ("a", "2")),
        body=bytes([seq % 256, 0, 255]),
        outcome="",
        masked={"email": 2, "card": 1},
    )
    return replace(row, **changes)  # type: ignore[arg-type] # the names are the fields'


async def _numbers(store: Store, run: str = RUN) -> list[int]:
    query = select(FRAME.c.seq).where(FRAME.c.run_id == run).order_by(FRAME.c.seq)
    async with store._database.read() as connection:
        return list((await connection.execute(query)).scalars())


async def test_a_frame_is_stored_as_it_was_sent(store: Store) -> None:
    """Every column, binary bodies included."""
    sent = frame(1, kind="request", start="GET /é")
    assert await store.frames.append(shim="one", run_id=RUN, frames=[sent]) == 1
    async with store._database.read() as connection:
        row = (await connection.execute(select(*FRAME.c))).one()
    assert (row.shim, row.run_id, row.seq, row.call_id, row.kind) == ("one", RUN, 1, sent.call_id, "request")
    assert (row.at_ms, row.upstream, row.session, row.start) == (sent.at_ms, "billing", "s", "GET /é")
    assert (row.headers, bytes(row.body), row.outcome) == ('[["a","é"],["a","2"]]', sent.body, "")
    assert row.masked == '{"card":1,"email":2}'


async def test_a_batch_that_is_sent_again_is_stored_once(store: Store) -> None:
    """Also where it overlaps with new frames; the answer is the end of what is on disk."""
    batch = [frame(1), frame(2)]
    assert await store.frames.append(shim="one", run_id=RUN, frames=batch) == 2
    assert await store.frames.append(shim="one", run_id=RUN, frames=batch) == 2
    assert await store.frames.append(shim="one", run_id=RUN, frames=[*batch, frame(3)]) == 3
    assert await store.frames.append(shim="one", run_id=RUN, frames=[]) == 3
    assert await _numbers(store) == [1, 2, 3]


async def test_the_first_version_of_a_frame_stays(store: Store) -> None:
    """What was acknowledged cannot be overwritten by sending its number again."""
    await store.frames.append(shim="one", run_id=RUN, frames=[frame(1, body=b"first")])
    await store.frames.append(shim="one", run_id=RUN, frames=[frame(1, body=b"second")])
    async with store._database.read() as connection:
        assert bytes((await connection.execute(select(FRAME.c.body))).scalar_one()) == b"first"


async def test_a_run_may_go_on_at_another_node_and_come_back(store: Store, database_url: str) -> None:
    """What came to the other node is no gap here."""
    other = await open_store(database_url, "other")
    assert await store.frames.append(shim="one", run_id=RUN, frames=[frame(1)]) == 1
    assert await other.frames.append(shim="one", run_id=RUN, frames=[frame(2), frame(3)]) == 3
    assert await store.frames.append(shim="one", run_id=RUN, frames=[frame(4)]) == 4
    with pytest.raises(PenstockError, match="frame 6 does not follow 4"):
        await other.frames.append(shim="one", run_id=RUN, frames=[frame(6)])
    await other.close()
    assert await _numbers(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 2, 2], [1, 2**63]])
async def test_a_gap_is_refused_and_nothing_of_its_batch_is_stored(store: Store, numbers: list[int]) -> None:
    """The refusal names the frame, and the missing ones may then be sent."""
    with pytest.raises(PenstockError, match=f"frame {numbers[-1]} does not follow") as refused:
        await store.frames.append(shim="one", run_id=RUN, frames=[frame(number) for number in numbers])
    assert refused.value.reason == "FRAME_GAP"
    assert await _numbers(store) == []
    assert await store.frames.append(shim="one", run_id=RUN, frames=[frame(1)]) == 1


async def test_runs_and_shims_are_numbered_apart(store: Store) -> None:
    """Two shims cannot write into each other's run, even with its id."""
    for shim, run in (("one", RUN), ("one", OTHER), ("two", RUN)):
        assert await store.frames.append(shim=shim, run_id=run, frames=[frame(1)]) == 1
    assert await _numbers(store) == [1, 1]


async def test_a_run_goes_on_after_a_restart(database_url: str) -> None:
    """The end is read from the database."""
    for first in (1, 3):
        store = await open_store(database_url)
        last = await store.frames.append(shim="one", run_id=RUN, frames=[frame(first), frame(first + 1)])
        assert last == first + 1
        await store.close()


async def test_a_batch_that_races_with_itself_is_stored_once(store: Store) -> None:
    """A shim that reconnects may send it while the former stream still commits it."""
    batch = [frame(1), frame(2), frame(3)]
    answers = await asyncio.gather(*(store.frames.append(shim="one", run_id=RUN, frames=batch) for _ in range(8)))
    assert set(answers) == {3}
    assert await _numbers(store) == [1, 2, 3]


async def test_what_is_remembered_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was forgotten goes on all the same."""
    monkeypatch.setattr(frames, "MAX_RUNS", 2)
    for run in (RUN, OTHER, "c" * 32, "d" * 32):
        await store.frames.append(shim="one", run_id=run, frames=[frame(1)])
    assert len(store.frames._last) <= 2
    assert await store.frames.append(shim="one", run_id=RUN, frames=[frame(1), frame(2)]) == 2


async def test_text_that_a_database_cannot_hold_spoils_no_batch(store: Store) -> None:
    """A NUL, which PostgreSQL refuses in text, is replaced: an upstream's status line must not stop the audit log."""
    headers = (("a\0", "b\0"),)
    sent = frame(
        1,
        headers=headers,
        start="200 O\0K",
        session="s\0",
        outcome="\0",
        upstream="u\0",
        call_id="c\0",
        masked={"\0": 1},
    )
    assert await store.frames.append(shim="one", run_id=RUN, frames=[sent]) == 1
    async with store._database.read() as connection:
        row = (await connection.execute(text("SELECT start, session FROM frame"))).one()
    assert tuple(row) == ("200 O\ufffdK", "s\ufffd")

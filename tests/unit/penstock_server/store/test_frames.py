"""Tests of recorded frames: each once, none missing, whatever is sent again."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from penstock_server.domain.errors import PenstockError
from penstock_server.store import Store, frames, open_store
from penstock_server.store.tables import FRAME_BATCH

pytestmark = pytest.mark.anyio

RUN, OTHER = "a" * 32, "b" * 32


@dataclass(frozen=True)
class Sent:
    """Implements SentFrames, with a text for what is encoded."""

    first: int
    last: int
    text: str = "frames"

    def content(self) -> list[bytes]:
        """Returns nothing: the store does not look."""
        return []

    def change(self, how: Callable[[bytes, str], bytes]) -> Iterator[None]:
        """Changes nothing."""
        return iter(())

    def after(self, number: int) -> "Sent":
        """Returns those with higher numbers."""
        return Sent(number + 1, self.last, self.text) if self.last > number else Sent(0, 0)

    def encoded(self) -> bytes:
        """Returns the text."""
        return self.text.encode()


async def _batches(store: Store, run: str = RUN) -> list[tuple[int, int, bytes]]:
    columns = FRAME_BATCH.c
    query = select(columns.first_seq, columns.last_seq, columns.frames).where(columns.run_id == run)
    async with store._database.read() as connection:
        rows = await connection.execute(query.order_by(columns.last_seq, columns.first_seq))
        return [(row.first_seq, row.last_seq, bytes(row.frames)) for row in rows]


async def _numbers(store: Store, run: str = RUN) -> list[int]:
    """Returns the numbers that the batches hold, each once."""
    return sorted({number for first, last, _ in await _batches(store, run) for number in range(first, last + 1)})


async def test_a_batch_is_stored_as_it_was_sent(store: Store) -> None:
    """One row for all its frames."""
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 3, "b\0é")) == 3
    assert await _batches(store) == [(1, 3, "b\0é".encode())]


async def test_a_batch_that_is_sent_again_is_stored_once(store: Store) -> None:
    """What was acknowledged keeps its first version; the answer is the end of what is on disk."""
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 2, "first")) == 2
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 2, "second")) == 2
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(2, 2, "part")) == 2
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 3, "more")) == 3
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(0, 0, "none")) == 3
    assert await _batches(store) == [(1, 2, b"first"), (3, 3, b"more")]


async def test_a_run_may_go_on_at_another_node_and_come_back(store: Store, database_url: str) -> None:
    """What came to the other node is no gap here."""
    other = await open_store(database_url, "other")
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 1)) == 1
    assert await other.frames.append(shim="one", run_id=RUN, batch=Sent(2, 3)) == 3
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(4, 4)) == 4
    with pytest.raises(PenstockError, match="frame 6 does not follow 4"):
        await other.frames.append(shim="one", run_id=RUN, batch=Sent(6, 6))
    await other.close()
    assert await _numbers(store) == [1, 2, 3, 4]


async def test_a_gap_is_refused_and_nothing_is_stored(store: Store) -> None:
    """The refusal names the frame, and the missing ones may then be sent."""
    with pytest.raises(PenstockError, match="frame 2 does not follow 0") as refused:
        await store.frames.append(shim="one", run_id=RUN, batch=Sent(2, 3))
    assert refused.value.reason == "FRAME_GAP"
    assert await _numbers(store) == []
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 1)) == 1


async def test_runs_and_shims_are_numbered_apart(store: Store) -> None:
    """Two shims cannot write into each other's run, even with its id."""
    for shim, run in (("one", RUN), ("one", OTHER), ("two", RUN)):
        assert await store.frames.append(shim=shim, run_id=run, batch=Sent(1, 1)) == 1
    assert len(await _batches(store)) == 2


async def test_a_run_goes_on_after_a_restart(database_url: str) -> None:
    """The end is read from the database."""
    for first in (1, 3):
        store = await open_store(database_url)
        last = await store.frames.append(shim="one", run_id=RUN, batch=Sent(first, first + 1))
        assert last == first + 1
        await store.close()


async def test_a_batch_that_races_with_itself_is_stored_once(store: Store) -> None:
    """A shim that reconnects may send it while the former stream still commits it."""
    answers = await asyncio.gather(
        *(store.frames.append(shim="one", run_id=RUN, batch=Sent(1, last)) for last in (3, 3, 5, 3, 4, 5))
    )
    assert answers == [3, 3, 5, 5, 5, 5]
    assert [batch[:2] for batch in await _batches(store)] == [(1, 3), (4, 5)]


async def test_a_failed_batch_can_be_sent_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk is then read, not remembered."""
    await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 1))
    with monkeypatch.context() as failing:
        failing.setattr(store._commit._writer, "write", lambda _: 1 / 0)
        with pytest.raises(PenstockError):
            await store.frames.append(shim="one", run_id=RUN, batch=Sent(2, 2))
    with pytest.raises(PenstockError, match="frame 3 does not follow 1"):
        await store.frames.append(shim="one", run_id=RUN, batch=Sent(3, 3))
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(2, 3)) == 3


async def test_a_run_that_comes_back_from_another_node_is_read_again(store: Store, database_url: str) -> None:
    """A shim opens a new stream then, and what was remembered here may be old."""
    other = await open_store(database_url, "other")
    await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 5, "a"))
    await other.frames.append(shim="one", run_id=RUN, batch=Sent(6, 10, "b"))
    store.frames.forget("one")
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(6, 8, "forged")) == 10
    await other.close()
    assert [batch[:2] for batch in await _batches(store)] == [(1, 5), (6, 10)]


async def test_a_caller_that_has_gone_does_not_let_the_next_one_in_early(store: Store) -> None:
    """A broken stream's batch is still being written when it comes again with other bounds."""
    leaving = asyncio.create_task(store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 3, "a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 5, "b")) == 5
    assert [batch[:2] for batch in await _batches(store)] == [(1, 3), (4, 5)]


async def test_what_another_node_has_stored_is_left_out(store: Store, database_url: str) -> None:
    """Although this node does not remember it: the first version stays."""
    other = await open_store(database_url, "other")
    await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 1, "a"))
    await other.frames.append(shim="one", run_id=RUN, batch=Sent(2, 5, "b"))
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 3, "forged")) == 5
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(2, 6, "c")) == 6
    await other.close()
    assert await _batches(store) == [(1, 1, b"a"), (2, 5, b"b"), (6, 6, b"c")]


async def test_what_is_remembered_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was forgotten goes on all the same."""
    monkeypatch.setattr(frames, "MAX_RUNS", 2)
    for run in (RUN, OTHER, "c" * 32, "d" * 32):
        await store.frames.append(shim="one", run_id=run, batch=Sent(1, 1))
    assert len(store.frames._runs) <= 2
    assert await store.frames.append(shim="one", run_id=RUN, batch=Sent(1, 2)) == 2

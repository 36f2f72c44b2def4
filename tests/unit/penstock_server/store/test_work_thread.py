"""Tests of the thread for blocking work."""

import asyncio
import threading

import pytest

from penstock_server.store.work_thread import WorkThread

pytestmark = pytest.mark.anyio


async def test_work_runs_in_one_other_thread_and_in_order() -> None:
    """Results come back to the caller."""
    thread = WorkThread("test")
    order: list[int] = []

    def note(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    found = await asyncio.gather(*(thread.run(lambda n=n: note(n)) for n in range(20)))  # type: ignore[misc]
    thread.stop()
    assert order == list(range(20))
    assert len(set(found)) == 1 and threading.get_ident() not in found


async def test_an_error_reaches_its_caller_and_no_other() -> None:
    """The next work runs all the same."""
    thread = WorkThread("test")

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await thread.run(fail)
    assert await thread.run(lambda: 3) == 3
    thread.stop()


async def test_work_of_a_cancelled_caller_is_still_done() -> None:
    """What was handed over cannot be taken back, and disturbs nobody."""
    thread = WorkThread("test")
    go, done = threading.Event(), threading.Event()
    task = asyncio.create_task(thread.run(lambda: go.wait(10) and done.set()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await thread.run(done.is_set)
    thread.stop()


async def test_stopping_waits_for_what_was_handed_over_and_twice_is_fine() -> None:
    """Nothing is lost at a shutdown."""
    thread = WorkThread("test")
    thread.stop()
    done: list[int] = []
    task = asyncio.create_task(thread.run(lambda: done.append(1)))
    await asyncio.sleep(0)
    thread.stop()
    thread.stop()
    await task
    assert done == [1]

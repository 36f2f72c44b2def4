"""What all streams share: racing reader and writer, and saying why one ended."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from penstock._client.stream import describe, race, send


def an_error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    """Returns the error of an ended call."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


def test_the_end_is_said_on_one_line() -> None:
    """Known codes have words of their own; details keep to one line."""
    assert describe(an_error(grpc.StatusCode.UNAUTHENTICATED, "")) == "the policy service does not accept the token"
    text = describe(an_error(grpc.StatusCode.DATA_LOSS, "two\nlines"))
    assert text == "the policy service answered DATA_LOSS (two lines)"


@pytest.mark.anyio
async def test_a_race_cancels_the_others_and_raises_what_ended_it() -> None:
    """The first end is the end of all."""
    cancelled = asyncio.Event()

    async def fails() -> None:
        raise KeyError("first")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(KeyError, match="first"):
        await race(waits(), fails())
    assert cancelled.is_set()


@pytest.mark.anyio
async def test_a_race_that_is_cancelled_cancels_all() -> None:
    """Nothing keeps running behind a cancelled race."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    racing = asyncio.create_task(race(waits()))
    await started.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert ended.is_set()


class Over:
    """Is a call that has ended."""

    async def read(self) -> Any:
        return grpc.aio.EOF

    async def write(self, message: bytes) -> None:
        raise asyncio.InvalidStateError("RPC already finished.")

    async def done_writing(self) -> None:
        return None

    def cancel(self) -> bool:
        return False


@pytest.mark.anyio
async def test_writing_to_a_call_that_is_over_leaves_the_word_to_the_reader() -> None:
    """The writer waits; the reader's end ends the race."""
    await race(Over().read(), send(Over(), b""))

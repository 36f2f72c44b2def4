"""Tests of what waits to be written on one stream: in order, together, and nothing of a state that has passed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from penstock.v1 import decision_pb2 as pb
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.answers import Question
from penstock_server.rpc.outbox import Outbox
from unit.penstock_server.operations.world import call_id, http

pytestmark = pytest.mark.anyio


class Written:
    """Reads an outbox by hand, as the stream does when the client takes a message."""

    def __init__(self) -> None:
        self.stale: list[Question] = []
        self.outbox = Outbox(self.stale.extend)
        self._messages: AsyncIterator[pb.DecideStreamResponse] = self.outbox.messages()

    async def next(self) -> pb.DecideStreamResponse:
        """Returns the next message."""
        return await asyncio.wait_for(anext(self._messages), 20)

    async def ended(self) -> bool:
        """Tells whether the stream ends properly now."""
        with pytest.raises(StopAsyncIteration):
            await self.next()
        return True

    def verdict(self, number: int, epoch: int = 1) -> None:
        """Queues an allow."""
        verdict = pb.Verdict(call_id=call_id(number), outcome=pb.OUTCOME_ALLOW, epoch=epoch)
        self.outbox.verdict(verdict, Question(call_id(number), "t", http()))

    def config(self, revision: int, epoch: int) -> None:
        """Queues a configuration."""
        self.outbox.config(pb.DecideStreamResponse(config=pb.ShimConfig(policy_revision=revision), epoch=epoch))


def _numbers(message: pb.DecideStreamResponse) -> list[int]:
    return [int(verdict.call_id, 16) for verdict in message.verdicts]


async def test_what_queued_goes_as_one_message_in_order() -> None:
    """The configuration with it, so that no verdict overtakes it."""
    written = Written()
    written.verdict(1)
    written.config(7, 1)
    written.verdict(2)
    message = await written.next()
    assert (message.config.policy_revision, message.epoch, _numbers(message)) == (7, 1, [1, 2])


async def test_a_later_configuration_replaces_one_that_waits() -> None:
    """And is sent once."""
    written = Written()
    written.config(7, 1)
    written.config(8, 2)
    message = await written.next()
    assert (message.config.policy_revision, message.epoch) == (8, 2)
    written.verdict(1, 2)
    assert not (await written.next()).HasField("config")


async def test_a_verdict_of_a_state_that_has_passed_is_not_sent() -> None:
    """Its question is given back, to be decided again; newer ones go."""
    written = Written()
    written.verdict(1, epoch=1)
    written.verdict(2, epoch=2)
    message = await written.next()
    assert _numbers(message) == [2]
    assert [question.call_id for question in written.stale] == [call_id(1)]


async def test_a_configuration_that_came_meanwhile_makes_older_verdicts_stale() -> None:
    """Nothing of the former epoch follows it."""
    written = Written()
    written.verdict(1, epoch=1)
    written.config(8, 2)
    message = await written.next()
    assert (message.epoch, _numbers(message), len(written.stale)) == (2, [], 1)
    written.verdict(3, epoch=1)
    written.verdict(4, epoch=2)
    assert _numbers(await written.next()) == [4]


async def test_nothing_is_written_where_all_was_stale() -> None:
    """The next message is the next fresh one."""
    written = Written()
    written.config(8, 2)
    await written.next()
    written.verdict(1, epoch=1)
    waiting = asyncio.create_task(written.next())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done() and len(written.stale) == 1
    written.verdict(2, epoch=2)
    assert _numbers(await waiting) == [2]


async def test_a_beat_is_an_empty_message_with_the_epoch() -> None:
    """One, however many were due; verdicts of an older epoch do not go with it."""
    written = Written()
    written.outbox.beat(3)
    written.outbox.beat(3)
    assert await written.next() == pb.DecideStreamResponse(epoch=3)
    written.verdict(1, epoch=2)
    written.outbox.beat(3)
    assert await written.next() == pb.DecideStreamResponse(epoch=3)
    assert [question.call_id for question in written.stale] == [call_id(1)]


async def test_a_beat_that_waits_goes_with_what_is_queued() -> None:
    """Nothing is written twice."""
    written = Written()
    written.outbox.beat(1)
    written.verdict(1)
    assert _numbers(await written.next()) == [1]
    written.outbox.end()
    assert await written.ended()


async def test_the_end_comes_after_what_is_queued() -> None:
    """And at once if nothing is."""
    written = Written()
    written.verdict(1)
    written.outbox.end()
    assert _numbers(await written.next()) == [1]
    assert await written.ended()
    empty = Written()
    empty.outbox.end()
    assert await empty.ended()


async def test_a_failure_comes_before_what_is_queued() -> None:
    """A revoked shim gets no further verdict; the first error is the one that counts."""
    written = Written()
    written.verdict(1)
    first = PenstockError(Code.UNAUTHENTICATED, "SHIM_REVOKED", "revoked")
    written.outbox.fail(first)
    written.outbox.fail(RuntimeError("later"))
    with pytest.raises(PenstockError) as refused:
        await written.next()
    assert refused.value is first

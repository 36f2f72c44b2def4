"""The decision stream against a service that the test plays."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from penstock._client.channel import bearer, open_channel
from penstock._client.decider import StreamDecider
from penstock._core.verdict import Outcome, ShimConfig, Verdict
from penstock.v1 import decision_pb2 as pb
from unit.penstock._client.fake_service import CONFIG, Conversation, FakeService, allow, an_ask, running_service

pytestmark = pytest.mark.anyio


class Answers:
    """Collects verdicts and lets a test wait for the next one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Verdict] = asyncio.Queue()

    def __call__(self, verdict: Verdict) -> None:
        self._queue.put_nowait(verdict)

    async def next(self) -> Verdict:
        return await asyncio.wait_for(self._queue.get(), 10)

    def empty(self) -> bool:
        return self._queue.empty()


class Shim:
    """Is a decider with its own channel; `configs` holds what it called back with."""

    def __init__(self, address: str, answer_timeout_s: float = 30.0, beat_s: float = 30.0) -> None:
        self._channel = open_channel(address)
        call: grpc.aio.StreamStreamMultiCallable[Any, Any] = self._channel.stream_stream(
            "/penstock.v1.DecisionService/DecideStream",
            response_deserializer=pb.DecideStreamResponse.FromString,
        )
        metadata = bearer("psh" + "_x")
        self.decider = StreamDecider(lambda: call(metadata=metadata), answer_timeout_s=answer_timeout_s, beat_s=beat_s)
        self.configs: asyncio.Queue[ShimConfig | None] = asyncio.Queue()
        self.decider.on_config(self.configs.put_nowait)
        self._task = asyncio.create_task(self.decider.run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._channel.close()

    async def next_config(self) -> ShimConfig | None:
        return await asyncio.wait_for(self.configs.get(), 10)


@contextlib.asynccontextmanager
async def connected(folder: Path, timeout_s: float = 30.0) -> AsyncIterator[tuple[FakeService, Conversation, Shim]]:
    """Yields a service, its stream and a shim that has its configuration."""
    async with running_service(folder) as service:
        shim = Shim(service.address, timeout_s)
        try:
            stream = await service.decision_stream()
            hello = await stream.next()
            assert hello.HasField("hello") and not hello.asks
            stream.send(CONFIG)
            assert await shim.next_config() is not None
            yield service, stream, shim
        finally:
            await shim.close()


async def test_the_first_message_introduces_the_shim_with_its_token(tmp_path: Path) -> None:
    """Hello comes first and alone; the enrolment token is in the metadata."""
    async with running_service(tmp_path) as service:
        shim = Shim(service.address)
        stream = await service.decision_stream()
        first = await stream.next()
        assert first.hello.version and "hold" in first.hello.capabilities
        assert stream.metadata["authorization"] == "Bearer " + "psh" + "_x"
        await shim.close()


async def test_nothing_is_asked_before_the_configuration(tmp_path: Path) -> None:
    """Without a configuration an ask is unavailable at once."""
    async with running_service(tmp_path) as service:
        shim = Shim(service.address)
        await service.decision_stream()
        answers = Answers()
        shim.decider.ask(an_ask("a"), answers)
        assert (await answers.next()).outcome is Outcome.UNAVAILABLE
        assert shim.decider.config() is None
        await shim.close()


async def test_a_configuration_reaches_reader_and_callback(tmp_path: Path) -> None:
    """A later configuration replaces the former one whole."""
    async with connected(tmp_path) as (_, stream, shim):
        now = shim.decider.config()
        assert now is not None and [u.name for u in now.upstreams] == ["billing"]
        stream.send(pb.DecideStreamResponse(epoch=2, config=pb.ShimConfig(policy_revision=8)))
        later = await shim.next_config()
        assert later is not None and later.policy_revision == 8 and later.upstreams == ()
        assert shim.decider.config() is later


async def test_asks_of_one_turn_go_in_one_message(tmp_path: Path) -> None:
    """What is asked together travels together, oldest first."""
    async with connected(tmp_path) as (_, stream, shim):
        answers = Answers()
        for call_id in ("a", "b", "c"):
            shim.decider.ask(an_ask(call_id), answers)
        message = await stream.next()
        assert [ask.call_id for ask in message.asks] == ["a", "b", "c"]
        stream.send(allow("a", "b", "c"))
        assert [(await answers.next()).call_id for _ in range(3)] == ["a", "b", "c"]


@pytest.mark.parametrize(("asks", "batches"), [(16, [16]), (40, [16, 16, 8]), (200, [50, 50, 50, 50])])
async def test_a_batch_takes_its_share_of_what_waits(tmp_path: Path, asks: int, batches: list[int]) -> None:
    """A quarter of all, but not too few: the service decides the first ones while the shim sends the next."""
    async with connected(tmp_path) as (_, stream, shim):
        names = [str(number) for number in range(asks)]
        for name in names:
            shim.decider.ask(an_ask(name), Answers())
        messages = [[ask.call_id for ask in (await stream.next()).asks] for _ in batches]
        assert list(map(len, messages)) == batches
        assert [name for message in messages for name in message] == names


async def test_a_fifth_batch_waits_until_one_of_four_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four batches may be outstanding; what queues meanwhile becomes one fifth batch."""
    monkeypatch.setattr("penstock._client.decider.SLOW_BATCH_S", 1000.0)
    async with connected(tmp_path) as (_, stream, shim):
        answers = Answers()
        for call_id in ("a", "b", "c", "d"):
            shim.decider.ask(an_ask(call_id), answers)
            assert [ask.call_id for ask in (await stream.next()).asks] == [call_id]
        for call_id in ("e", "f"):
            shim.decider.ask(an_ask(call_id), answers)
            await asyncio.sleep(0.01)
        assert stream.inbox.empty()
        stream.send(allow("a"))
        assert [ask.call_id for ask in (await stream.next()).asks] == ["e", "f"]


async def test_a_batch_that_nobody_waits_for_holds_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents that ask and hang up would otherwise slow all others down."""
    monkeypatch.setattr("penstock._client.decider.SLOW_BATCH_S", 1000.0)
    async with connected(tmp_path) as (_, stream, shim):
        for call_id in "abcd":
            shim.decider.ask(an_ask(call_id), Answers())
            assert [ask.call_id for ask in (await stream.next()).asks] == [call_id]
        shim.decider.ask(an_ask("e"), Answers())
        shim.decider.cancel("b")
        message = await stream.next()
        if not message.asks:
            message = await stream.next()
        assert [ask.call_id for ask in message.asks] == ["e"]


async def test_a_slow_batch_does_not_hold_others_back_for_ever(tmp_path: Path) -> None:
    """Four unanswered batches are passed over after a while."""
    async with connected(tmp_path) as (_, stream, shim):
        for call_id in "abcdefghi":
            shim.decider.ask(an_ask(call_id), Answers())
            assert [ask.call_id for ask in (await stream.next()).asks] == [call_id]


async def test_a_batch_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Large asks are split over messages; each is sent, none is joined beyond the bound."""
    async with connected(tmp_path) as (_, stream, shim):
        for call_id in ("a", "b", "c"):
            shim.decider.ask(an_ask(call_id, b"x" * 600_000), Answers())
        for call_id in ("a", "b", "c"):
            assert [ask.call_id for ask in (await stream.next()).asks] == [call_id]


async def test_an_allow_of_an_older_epoch_is_void(tmp_path: Path) -> None:
    """An epoch that comes first voids the allow that was judged before it, in the same message too."""
    async with connected(tmp_path) as (_, stream, shim):
        answers = Answers()
        shim.decider.ask(an_ask("a"), answers)
        shim.decider.ask(an_ask("b"), answers)
        await stream.next()
        stream.send(pb.DecideStreamResponse(epoch=5))
        stream.send(allow("a", epoch=4))
        stale = await answers.next()
        assert (stale.call_id, stale.outcome) == ("a", Outcome.UNAVAILABLE)
        stream.send(allow("b", epoch=5))
        assert (await answers.next()).outcome is Outcome.ALLOW


async def test_no_answer_in_time_is_unavailable_and_withdrawn(tmp_path: Path) -> None:
    """A late answer is dropped, and the service hears that nobody waits for it."""
    async with connected(tmp_path, timeout_s=0.05) as (_, stream, shim):
        answers = Answers()
        shim.decider.ask(an_ask("a"), answers)
        assert [ask.call_id for ask in (await stream.next()).asks] == ["a"]
        assert (await answers.next()).outcome is Outcome.UNAVAILABLE
        assert list((await stream.next()).cancelled) == ["a"]
        stream.send(allow("a"))
        stream.send(pb.DecideStreamResponse(epoch=2, config=pb.ShimConfig(policy_revision=9)))
        await shim.next_config()
        assert answers.empty()


async def test_a_pending_ask_outlives_the_timeout_and_gets_its_later_verdict(tmp_path: Path) -> None:
    """PENDING is delivered, then the approval's verdict, however long it takes."""
    async with connected(tmp_path, timeout_s=0.05) as (_, stream, shim):
        held, other = Answers(), Answers()
        shim.decider.ask(an_ask("a"), held)
        await stream.next()
        pending = pb.Verdict(
            call_id="a", outcome=pb.OUTCOME_PENDING, epoch=1, approval=pb.PendingApproval(name="apr_1", hold_ms=9)
        )
        stream.send(pb.DecideStreamResponse(epoch=1, verdicts=[pending, pending]))
        first = await held.next()
        assert (first.outcome, first.approval, first.hold_ms) == (Outcome.PENDING, "apr_1", 9)
        shim.decider.ask(an_ask("b"), other)
        assert (await other.next()).outcome is Outcome.UNAVAILABLE
        assert held.empty()
        stream.send(allow("a", epoch=3))
        assert (await held.next()).outcome is Outcome.ALLOW


async def test_a_call_id_can_be_asked_again_after_need_body(tmp_path: Path) -> None:
    """NEED_BODY ends the first ask; the second one with the same id gets an answer of its own."""
    async with connected(tmp_path) as (_, stream, shim):
        answers = Answers()
        shim.decider.ask(an_ask("a"), answers)
        await stream.next()
        stream.send(
            pb.DecideStreamResponse(verdicts=[pb.Verdict(call_id="a", outcome=pb.OUTCOME_NEED_BODY, need_body_max=10)])
        )
        assert (await answers.next()).need_body_max == 10
        shim.decider.ask(an_ask("a", b"{}"), answers)
        assert (await stream.next()).asks[0].action.http.body == b"{}"
        stream.send(allow("a"))
        assert (await answers.next()).outcome is Outcome.ALLOW


async def test_nothing_is_delivered_after_a_cancellation(tmp_path: Path) -> None:
    """A cancelled ask is withdrawn; one that was never sent is forgotten without a word."""
    async with connected(tmp_path) as (_, stream, shim):
        answers, others = Answers(), Answers()
        shim.decider.ask(an_ask("a"), answers)
        await stream.next()
        shim.decider.cancel("a")
        shim.decider.cancel("unknown")
        assert list((await stream.next()).cancelled) == ["a"]
        shim.decider.ask(an_ask("b"), answers)
        shim.decider.cancel("b")
        shim.decider.ask(an_ask("c"), others)
        message = await stream.next()
        assert [ask.call_id for ask in message.asks] == ["c"] and not message.cancelled
        stream.send(allow("a", "b", "c"))
        assert (await others.next()).outcome is Outcome.ALLOW
        assert answers.empty()


async def test_a_call_id_that_waits_is_not_asked_twice(tmp_path: Path) -> None:
    """The second ask is unavailable at once; the first is unharmed."""
    async with connected(tmp_path) as (_, stream, shim):
        first, second = Answers(), Answers()
        shim.decider.ask(an_ask("a"), first)
        shim.decider.ask(an_ask("a"), second)
        assert (await second.next()).outcome is Outcome.UNAVAILABLE
        assert len((await stream.next()).asks) == 1
        stream.send(allow("a"))
        assert (await first.next()).outcome is Outcome.ALLOW


async def test_a_lost_stream_answers_everything_that_waits_and_connects_again(tmp_path: Path) -> None:
    """Asked, pending and queued asks become unavailable; the configuration is gone until the new stream sends one."""
    async with connected(tmp_path) as (service, stream, shim):
        answers = Answers()
        shim.decider.ask(an_ask("a"), answers)
        shim.decider.ask(an_ask("b"), answers)
        await stream.next()
        pending = pb.Verdict(call_id="a", outcome=pb.OUTCOME_PENDING, epoch=1)
        stream.send(pb.DecideStreamResponse(epoch=9, verdicts=[pending]))
        assert (await answers.next()).outcome is Outcome.PENDING
        stream.end()
        assert {(await answers.next()).call_id for _ in range(2)} == {"a", "b"}
        assert await shim.next_config() is None
        again = await service.decision_stream()
        await again.next()
        again.send(CONFIG)
        assert await shim.next_config() is not None
        shim.decider.ask(an_ask("c"), answers)
        assert [ask.call_id for ask in (await again.next()).asks] == ["c"]
        again.send(allow("c", epoch=1))  # the new stream has epochs of its own
        assert (await answers.next()).outcome is Outcome.ALLOW


async def test_a_service_that_falls_silent_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing broke, as when it is stopped: what waits is unavailable, and after four beats a new stream is opened."""
    async with running_service(tmp_path) as service:
        shim = Shim(service.address, beat_s=0.01)
        try:
            stream = await service.decision_stream()
            stream.send(CONFIG)
            assert await shim.next_config() is not None
            answers = Answers()
            shim.decider.ask(an_ask("a"), answers)
            assert (await answers.next()).outcome is Outcome.UNAVAILABLE
            assert await shim.next_config() is None
            await service.decision_stream()
        finally:
            await shim.close()
    assert "the policy service has fallen silent" in caplog.text


async def test_heartbeats_keep_a_stream(tmp_path: Path) -> None:
    """Messages without verdicts are enough, for longer than the silence that would end it."""
    async with running_service(tmp_path) as service:
        shim = Shim(service.address, beat_s=0.05)
        try:
            stream = await service.decision_stream()
            stream.send(CONFIG)
            assert await shim.next_config() is not None
            for _ in range(40):
                await asyncio.sleep(0.01)
                stream.send(pb.DecideStreamResponse(epoch=1))
            assert shim.configs.empty() and shim.decider.config() is not None
        finally:
            await shim.close()


async def test_a_service_that_restarts_is_found_again(tmp_path: Path) -> None:
    """The shim keeps trying while nobody listens."""
    async with connected(tmp_path) as (service, _, shim):
        await service.stop()
        assert await shim.next_config() is None
        await asyncio.sleep(0.1)
        await service.start()
        stream = await service.decision_stream()
        stream.send(CONFIG)
        assert await shim.next_config() is not None


async def test_a_refused_token_is_said_once_without_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the cause one time, however often it recurs."""
    async with running_service(tmp_path) as service:
        with caplog.at_level(logging.WARNING):
            shim = Shim(service.address)
            for _ in range(3):
                stream = await service.decision_stream()
                await stream.next()  # grpc.aio loses the status of a call that ends while its hello is being written
                stream.end(grpc.StatusCode.UNAUTHENTICATED, "unknown token")
            await service.decision_stream()
            await shim.close()
    assert [record.getMessage() for record in caplog.records] == [
        "no decisions: the policy service does not accept the token (unknown token)"
    ]


async def test_a_callback_that_raises_hurts_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next verdict of the same message still arrives."""

    def broken(verdict: Verdict) -> None:
        raise RuntimeError("boom")

    async with connected(tmp_path) as (_, stream, shim):
        answers = Answers()
        shim.decider.ask(an_ask("a"), broken)
        shim.decider.ask(an_ask("b"), answers)
        await stream.next()
        stream.send(allow("a", "b"))
        assert (await answers.next()).call_id == "b"
    assert "RuntimeError" in caplog.text and "boom" not in caplog.text


async def test_text_that_cannot_be_sent_is_unavailable(tmp_path: Path) -> None:
    """A lone surrogate never reaches the wire."""
    async with connected(tmp_path) as (_, _, shim):
        answers = Answers()
        shim.decider.ask(an_ask("\udc80"), answers)
        assert (await answers.next()).outcome is Outcome.UNAVAILABLE

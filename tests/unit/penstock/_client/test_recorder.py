"""The recording stream against a service that the test plays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from penstock._client.channel import open_channel
from penstock._client.recorder import StreamRecorder
from penstock._core.verdict import Frame, FrameKind
from penstock.v1 import recording_pb2 as pb
from unit.penstock._client.fake_service import FakeService, running_service

pytestmark = pytest.mark.anyio


def a_frame(body: bytes = b"") -> Frame:
    """Returns a frame with that body."""
    return Frame("c", FrameKind.RESPONSE_BODY, 1, "billing", body=body)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds."""
    while not condition():  # noqa: ASYNC110 - the recorder is asked, it does not call back
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def recording(folder: Path, **bounds: int) -> AsyncIterator[tuple[FakeService, StreamRecorder]]:
    """Yields a service and a recorder that runs against it."""
    async with running_service(folder) as service:
        channel = open_channel(service.address)
        call: grpc.aio.StreamStreamMultiCallable[Any, Any] = channel.stream_stream(
            "/penstock.v1.RecordingService/Record",
            response_deserializer=pb.RecordResponse.FromString,
        )
        recorder = StreamRecorder(call, **bounds)
        task = asyncio.create_task(recorder.run())
        try:
            yield service, recorder
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await channel.close()


async def test_frames_are_numbered_from_one_and_leave_in_order(tmp_path: Path) -> None:
    """What is queued together travels together, under the run's id."""
    async with recording(tmp_path) as (service, recorder):
        for body in (b"a", b"b", b"c"):
            recorder.put(a_frame(body))
        message = await (await service.recording_stream()).next()
        assert message.run_id == recorder.run_id and len(message.run_id) == 32
        assert [(frame.seq, frame.body) for frame in message.frames] == [(1, b"a"), (2, b"b"), (3, b"c")]


async def test_a_batch_is_bounded_in_frames_and_bytes(tmp_path: Path) -> None:
    """No batch has more than 128 frames or more than a mebibyte; every frame arrives once."""
    async with recording(tmp_path) as (service, recorder):
        for _ in range(300):
            recorder.put(a_frame())
        for _ in range(40):
            recorder.put(a_frame(b"x" * 60_000))
        stream = await service.recording_stream()
        seqs: list[int] = []
        while len(seqs) < 340:
            message = await stream.next()
            assert len(message.frames) <= 128 and message.ByteSize() <= 1024 * 1024 + 100
            seqs += [frame.seq for frame in message.frames]
        assert seqs == list(range(1, 341))


async def test_an_acknowledgement_frees_what_it_covers(tmp_path: Path) -> None:
    """The flush ends only when everything is acknowledged."""
    async with recording(tmp_path) as (service, recorder):
        recorder.put(a_frame())
        recorder.put(a_frame())
        stream = await service.recording_stream()
        await stream.next()
        assert not await recorder.flush(0.05)
        stream.send(pb.RecordResponse(acknowledged=1))
        assert not await recorder.flush(0.05)
        assert recorder.unacknowledged() == 1
        stream.send(pb.RecordResponse(acknowledged=2))
        assert await recorder.flush(10)
        assert recorder.unacknowledged() == 0


async def test_too_much_unacknowledged_refuses_requests_but_drops_nothing(tmp_path: Path) -> None:
    """Over the bound the recorder is not ready, still takes frames, and recovers with the acknowledgement."""
    async with recording(tmp_path, max_kept_bytes=1000) as (service, recorder):
        assert recorder.ready()
        recorder.put(a_frame(b"x" * 2000))
        assert not recorder.ready()
        recorder.put(a_frame(b"last"))
        stream = await service.recording_stream()
        bodies = [frame.body for frame in (await stream.next()).frames]
        assert bodies == [b"x" * 2000, b"last"]
        stream.send(pb.RecordResponse(acknowledged=2))
        assert await recorder.flush(10)
        assert recorder.ready()


async def test_a_lost_stream_is_followed_by_the_same_frames_with_the_same_numbers(tmp_path: Path) -> None:
    """What was not acknowledged is sent again, then what came meanwhile."""
    async with recording(tmp_path) as (service, recorder):
        for body in (b"a", b"b", b"c"):
            recorder.put(a_frame(body))
        stream = await service.recording_stream()
        await stream.next()
        stream.send(pb.RecordResponse(acknowledged=1))
        await until(lambda: recorder.unacknowledged() == 2)
        await service.stop()
        recorder.put(a_frame(b"d"))
        await service.start()
        again = await service.recording_stream()
        message = await again.next()
        assert message.run_id == recorder.run_id
        assert [(frame.seq, frame.body) for frame in message.frames] == [(2, b"b"), (3, b"c"), (4, b"d")]
        again.send(pb.RecordResponse(acknowledged=4))
        assert await recorder.flush(10)


async def test_an_acknowledgement_may_cover_what_is_queued_again(tmp_path: Path) -> None:
    """A service that had stored everything before the loss says so, and nothing stays behind."""
    async with recording(tmp_path) as (service, recorder):
        for _ in range(200):
            recorder.put(a_frame())
        stream = await service.recording_stream()
        await stream.next()
        await stream.next()
        stream.end(grpc.StatusCode.UNAVAILABLE, "restart")
        again = await service.recording_stream()
        await again.next()
        again.send(pb.RecordResponse(acknowledged=200))
        assert await recorder.flush(10)


async def test_an_acknowledgement_of_what_was_never_sent_ends_the_stream(tmp_path: Path) -> None:
    """Nonsense frees nothing: the frames come again on a new stream."""
    async with recording(tmp_path) as (service, recorder):
        recorder.put(a_frame(b"a"))
        stream = await service.recording_stream()
        await stream.next()
        stream.send(pb.RecordResponse(acknowledged=7))
        again = await service.recording_stream()
        assert [frame.seq for frame in (await again.next()).frames] == [1]
        assert recorder.unacknowledged() == 1


async def test_a_silent_service_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose acknowledgements stop counts as lost."""
    monkeypatch.setattr("penstock._client.recorder.STALL_S", 0.05)
    monkeypatch.setattr("penstock._client.recorder.STEADY_S", 0.05)
    async with recording(tmp_path) as (service, recorder):
        recorder.put(a_frame())
        await (await service.recording_stream()).next()
        assert [frame.seq for frame in (await (await service.recording_stream()).next()).frames] == [1]


async def test_a_stream_that_is_down_too_long_refuses_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ready while down, ready again once a stream is steady."""
    monkeypatch.setattr("penstock._client.recorder.MAX_DOWN_S", 0.1)
    async with recording(tmp_path) as (service, recorder):
        await service.recording_stream()
        await until(recorder.ready)
        await service.stop()
        await until(lambda: not recorder.ready())
        await service.start()
        await until(recorder.ready)


async def test_a_frame_that_cannot_be_sent_takes_no_number(tmp_path: Path) -> None:
    """The caller hears of it; the numbers stay without a gap."""
    async with recording(tmp_path) as (service, recorder):
        with pytest.raises(ValueError, match="65536"):
            recorder.put(a_frame(b"x" * 65537))
        recorder.put(a_frame())
        assert [frame.seq for frame in (await (await service.recording_stream()).next()).frames] == [1]

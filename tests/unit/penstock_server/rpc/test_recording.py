"""Tests of RecordingService."""

import grpc
import pytest

from penstock.v1 import recording_pb2 as pb
from unit.penstock_server.operations.world import ADMIN, World
from unit.penstock_server.rpc.memory_server import AbortedError, Call, MemoryServer, info_of

pytestmark = pytest.mark.anyio

RUN = "a" * 32


def batch(*numbers: int, run: str = RUN, kind: "pb.FrameKind.ValueType" = pb.FRAME_KIND_REQUEST) -> pb.RecordRequest:
    """Returns a batch of frames with those numbers."""
    frames = [pb.Frame(seq=number, call_id="c" * 32, kind=kind, upstream="billing") for number in numbers]
    return pb.RecordRequest(run_id=run, frames=frames)


async def _refusal(call: Call) -> AbortedError:
    with pytest.raises(AbortedError) as refused:
        await call.read()
    return refused.value


async def test_batches_are_acknowledged_in_order(server: MemoryServer, world: World, shim: str) -> None:
    """Each with the last number that is on disk; one that is sent again is stored once."""
    call = await server.stream("RecordingService/Record", shim)
    for numbers, acknowledged in (((1, 2), 2), ((1, 2), 2), ((2, 3), 3), ((), 3)):
        call.send(batch(*numbers))
        assert (await call.read()).acknowledged == acknowledged
    assert [frame.seq for frame in world.frames.rows["two", RUN]] == [1, 2, 3]
    call.done_writing()
    assert await call.read() is None


async def test_what_is_not_understood_ends_the_stream(server: MemoryServer, world: World, shim: str) -> None:
    """And is not stored: an unknown kind, a run that is none."""
    for request in (
        batch(1, kind=pb.FRAME_KIND_UNSPECIFIED),
        batch(1, kind=99),  # type: ignore[arg-type] # a kind of a later release
        batch(1, run="x"),
    ):
        call = await server.stream("RecordingService/Record", shim)
        call.send(request)
        assert (await _refusal(call)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert world.frames.rows == {}


async def test_a_revoked_shims_stream_ends_at_its_next_batch(server: MemoryServer, world: World, shim: str) -> None:
    """Although it was opened before."""
    call = await server.stream("RecordingService/Record", shim)
    call.send(batch(1))
    assert (await call.read()).acknowledged == 1
    await world.enrolment.revoke(ADMIN, "two")
    call.send(batch(2))
    assert info_of((await _refusal(call)).status).reason == "SHIM_REVOKED"
    assert len(world.frames.rows["two", RUN]) == 1

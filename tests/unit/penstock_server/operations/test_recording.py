"""Tests of recording: masked once more, from shims that may, and nothing that is not understood."""

import asyncio
from typing import Any

import pytest

from penstock.v1.action_pb2 import Header
from penstock.v1.recording_pb2 import FRAME_KIND_REQUEST, Frame, RecordRequest
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.rpc.sent_frames import PbFrames
from unit.penstock_server.operations.world import ADMIN, SECRET, SHIM, World

pytestmark = pytest.mark.anyio

RUN = "a" * 32


def frame(seq: int = 1, **changes: Any) -> Frame:
    """Returns a frame of a request."""
    fields = {"session": "s", "start": "GET /x", "headers": [Header(name="a", value=b"b")], "body": b"body", **changes}
    return Frame(seq=seq, call_id="c" * 32, kind=FRAME_KIND_REQUEST, at_ms=5, upstream="billing", **fields)


def sent(*frames: Frame) -> PbFrames:
    """Returns the batch as rpc/ hands it on."""
    return PbFrames.read(RecordRequest(run_id=RUN, frames=frames))


async def test_what_holds_no_secret_is_kept_byte_for_byte(world: World) -> None:
    """Binary bodies and text beyond ASCII included."""
    frames = [frame(1, body=bytes(range(256)), start="GET /é"), frame(2, body=b"", start="", session="")]
    assert await world.recordings.take(SHIM, RUN, sent(*frames)) == 2
    assert world.frames.rows["one", RUN] == frames


async def test_a_planted_secret_is_masked_wherever_a_frame_holds_it(world: World) -> None:
    """Although a shim should have masked it: line, session, headers and body."""
    key = SECRET.encode()
    planted = [
        frame(2, start=f"GET /{SECRET}"),
        frame(2, session=SECRET),
        frame(2, headers=[Header(name="x-key", value=b"a"), Header(name="b", value=b"a " + key + b" c")]),
        frame(2, headers=[Header(name="x-key", value=b"\xff" + key)]),
        frame(2, headers=[Header(name=SECRET, value=b"v")]),
        frame(2, body=b"\xff" + key + b"\0"),
        frame(2, body=key),
    ]
    for number, one in enumerate(planted, 1):
        await world.recordings.take(SHIM, f"{number:032x}", sent(frame(1), one))
        clean, kept = world.frames.rows["one", f"{number:032x}"]
        assert clean == frame(1)
        assert key not in kept.SerializeToString()
        assert "«billing-key:".encode() in kept.SerializeToString()


async def test_what_is_large_is_scanned_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is found in each of them, and between two of them others get their turn."""
    monkeypatch.setattr("penstock_server.operations.recording.STEP_BYTES", 100)
    key = SECRET.encode()
    frames = [frame(number, body=b"x" * 90) for number in range(1, 9)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await world.recordings.take(SHIM, RUN, sent(*frames))
    assert turns >= len(frames)
    task.cancel()
    for at in range(8):
        planted = [frame(number, body=key if number == at + 1 else b"x" * 90) for number in range(1, 9)]
        run = f"{at:032x}"
        await world.recordings.take(SHIM, run, sent(*planted))
        assert all(key not in kept.body for kept in world.frames.rows["one", run])


async def test_a_secret_that_was_just_stored_is_masked(world: World) -> None:
    """By the state of now."""
    fresh = "fresh" + "-value-55555"
    await world.keeping.put(ADMIN, name="other", value=fresh.encode(), hosts=("a.example",), use_policy_hosts=False)
    await world.recordings.take(SHIM, RUN, sent(frame(body=fresh.encode())))
    assert fresh.encode() not in world.frames.rows["one", RUN][0].body


@pytest.mark.parametrize("run", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32])
async def test_a_run_that_is_none_is_refused(world: World, run: str) -> None:
    """32 hexadecimal digits."""
    with pytest.raises(PenstockError) as refused:
        await world.recordings.take(SHIM, run, sent(frame()))
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "RUN_ID")


async def test_a_revoked_shim_records_nothing_more(world: World) -> None:
    """Also on a stream that it opened before."""
    await world.recordings.take(SHIM, RUN, sent(frame(1)))
    await world.enrolment.revoke(ADMIN, "one")
    with pytest.raises(PenstockError) as refused:
        await world.recordings.take(SHIM, RUN, sent(frame(2)))
    assert (refused.value.code, refused.value.reason) == (Code.UNAUTHENTICATED, "SHIM_REVOKED")
    assert len(world.frames.rows["one", RUN]) == 1

"""Tests of recording: masked once more, from shims that may, and nothing that is not understood."""

from dataclasses import replace

import pytest

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import FrameRow
from penstock_server.operations.recording import MAX_BODY
from unit.penstock_server.operations.world import ADMIN, SECRET, SHIM, World

pytestmark = pytest.mark.anyio

RUN = "a" * 32


def frame(seq: int = 1, **changes: object) -> FrameRow:
    """Returns a frame of a request."""
    row = FrameRow(seq, "c" * 32, "request", 5, "billing", "s", "GET /x", (("a", "b"),), b"body", "", {})
    return replace(row, **changes)  # type: ignore[arg-type] # the names are the fields'


async def test_what_holds_no_secret_is_kept_byte_for_byte(world: World) -> None:
    """Binary bodies and text beyond ASCII included."""
    sent = [frame(1, body=bytes(range(256)), start="GET /é"), frame(2, body=b"", start="", session="")]
    assert await world.recordings.take(SHIM, RUN, sent) == 2
    assert world.frames.rows["one", RUN] == sent


async def test_a_planted_secret_is_masked_wherever_a_frame_holds_it(world: World) -> None:
    """Although a shim should have masked it: line, session, headers and body."""
    planted = [
        frame(1, start=f"GET /{SECRET}"),
        frame(2, session=SECRET),
        frame(3, headers=(("x-key", "a"), ("b", f"a {SECRET} c"))),
        frame(4, body=b"\xff" + SECRET.encode() + b"\0"),
        frame(5, body=SECRET.encode()),
    ]
    for number, sent in enumerate(planted, 1):
        await world.recordings.take(SHIM, f"{number:032x}", [frame(1), replace(sent, seq=2)])
        clean, kept = world.frames.rows["one", f"{number:032x}"]
        assert clean == frame(1)
        assert SECRET not in repr(kept) and SECRET.encode() not in kept.body
        assert "«billing-key:" in repr(kept) or "«billing-key:".encode() in kept.body


async def test_a_secret_that_was_just_stored_is_masked(world: World) -> None:
    """By the state of now."""
    fresh = "fresh" + "-value-55555"
    await world.keeping.put(ADMIN, name="other", value=fresh.encode(), hosts=("a.example",), use_policy_hosts=False)
    await world.recordings.take(SHIM, RUN, [frame(body=fresh.encode())])
    assert fresh.encode() not in world.frames.rows["one", RUN][0].body


@pytest.mark.parametrize("run", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32])
async def test_a_run_that_is_none_is_refused(world: World, run: str) -> None:
    """32 hexadecimal digits."""
    with pytest.raises(PenstockError) as refused:
        await world.recordings.take(SHIM, run, [frame()])
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "RUN_ID")


async def test_a_frame_has_a_largest_body(world: World) -> None:
    """One byte more is refused, and nothing of the batch is stored."""
    await world.recordings.take(SHIM, RUN, [frame(1, body=bytes(MAX_BODY))])
    with pytest.raises(PenstockError) as refused:
        await world.recordings.take(SHIM, RUN, [frame(2), frame(3, body=bytes(MAX_BODY + 1))])
    assert refused.value.reason == "FRAME_TOO_LARGE"
    assert len(world.frames.rows["one", RUN]) == 1


async def test_a_revoked_shim_records_nothing_more(world: World) -> None:
    """Also on a stream that it opened before."""
    await world.recordings.take(SHIM, RUN, [frame(1)])
    await world.enrolment.revoke(ADMIN, "one")
    with pytest.raises(PenstockError) as refused:
        await world.recordings.take(SHIM, RUN, [frame(2)])
    assert (refused.value.code, refused.value.reason) == (Code.UNAUTHENTICATED, "SHIM_REVOKED")
    assert len(world.frames.rows["one", RUN]) == 1

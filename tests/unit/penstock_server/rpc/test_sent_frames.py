"""Tests of batches of frames as they come over the wire."""

import pytest

from penstock.v1.action_pb2 import Header
from penstock.v1.recording_pb2 import FRAME_KIND_REQUEST, FRAME_KIND_UNSPECIFIED, Frame, FrameKind, RecordRequest
from penstock_server.domain.errors import PenstockError
from penstock_server.rpc.sent_frames import MAX_BODY, PbFrames

RUN = "a" * 32


def frame(seq: int, **changes: object) -> Frame:
    """Returns the frame of that number."""
    return Frame(seq=seq, kind=FRAME_KIND_REQUEST, **changes)  # type: ignore[arg-type] # the names are the fields'


def refusal(*frames: Frame) -> PenstockError:
    """Returns what refuses them."""
    with pytest.raises(PenstockError) as refused:
        PbFrames.read(RecordRequest(run_id=RUN, frames=frames))
    return refused.value


def test_what_was_sent_is_kept_as_it_was_sent() -> None:
    """Numbers, content and bytes; nothing is a batch too."""
    request = RecordRequest(run_id=RUN, frames=[frame(2**40), frame(2**40 + 1, body=b"\xff\0")])
    batch = PbFrames.read(request)
    assert (batch.first, batch.last, batch.encoded()) == (2**40, 2**40 + 1, request.SerializeToString())
    nothing = PbFrames.read(RecordRequest(run_id=RUN))
    assert (nothing.first, nothing.last, nothing.content()) == (0, 0, [])


def test_what_was_stored_can_be_left_out() -> None:
    """By number; nothing may be left."""
    batch = PbFrames.read(RecordRequest(run_id=RUN, frames=[frame(4), frame(5), frame(6)]))
    rest = batch.after(5)
    assert (rest.first, rest.last) == (6, 6)
    assert RecordRequest.FromString(rest.encoded()) == RecordRequest(run_id=RUN, frames=[frame(6)])
    assert batch.after(6).last == 0


def test_a_body_may_grow_beyond_its_limit_when_it_is_masked() -> None:
    """What was taken is never refused afterwards: it would be sent again for ever."""
    batch = PbFrames.read(RecordRequest(frames=[frame(1), frame(2, body=bytes(MAX_BODY))]))
    for _ in batch.change(lambda piece, upstream: piece + b"grown"):
        pass
    (kept,) = RecordRequest.FromString(batch.after(1).encoded()).frames
    assert len(kept.body) == MAX_BODY + len(b"grown")


def test_all_that_agents_and_upstreams_wrote_is_content_and_can_be_changed() -> None:
    """Line, session, header values and body, each with its upstream."""
    headers = [Header(name="a", value=b"one"), Header(name="b", value=b"two")]
    batch = PbFrames.read(
        RecordRequest(frames=[frame(1, upstream="u", start="GET /é", session="s", headers=headers, body=b"x")])
    )
    assert batch.content() == ["GET /é".encode(), b"s", b"a", b"one", b"b", b"two", b"x"]
    assert len(list(batch.change(lambda piece, upstream: piece + b"-" + upstream.encode() + b"\xff"))) == 1
    (changed,) = RecordRequest.FromString(batch.encoded()).frames
    assert (changed.start, changed.session, changed.body) == ("GET /é-u\ufffd", "s-u\ufffd", b"x-u\xff")
    headers = [("a-u\ufffd", b"one-u\xff"), ("b-u\ufffd", b"two-u\xff")]
    assert [(header.name, header.value) for header in changed.headers] == headers


@pytest.mark.parametrize("numbers", [[0], [1, 3], [1, 2, 2], [2, 1], [1, 2**63]])
def test_a_gap_is_refused(numbers: list[int]) -> None:
    """The refusal names the frame."""
    refused = refusal(*map(frame, numbers))
    assert refused.reason == "FRAME_GAP"
    assert f"frame {numbers[-1]} does not follow" in refused.message


def test_every_kind_is_known_and_no_other() -> None:
    """A shim that sends what is unknown is told so."""
    for number in [*FrameKind.values(), 99]:
        sent = Frame(seq=1, kind=number)  # type: ignore[arg-type] # a number of the enum
        if number in {FRAME_KIND_UNSPECIFIED, 99}:
            assert refusal(sent).reason == "MESSAGE_INVALID"
        else:
            assert PbFrames.read(RecordRequest(frames=[sent])).last == 1


def test_a_frame_has_a_largest_body() -> None:
    """One byte more is refused."""
    PbFrames.read(RecordRequest(frames=[frame(1, body=bytes(MAX_BODY))]))
    assert refusal(frame(1), frame(2, body=bytes(MAX_BODY + 1))).reason == "FRAME_TOO_LARGE"


def test_what_is_unknown_is_not_kept() -> None:
    """It would be stored without being scanned: a field of a later release, or one that hides something."""
    hidden = b"hidden"
    unknown = bytes([(15 << 3) | 2, len(hidden)]) + hidden
    inner = frame(1).SerializeToString() + unknown
    wire = bytes([(2 << 3) | 2, len(inner)]) + inner + unknown
    assert hidden in RecordRequest.FromString(wire).SerializeToString()
    assert hidden not in PbFrames.read(RecordRequest.FromString(wire)).encoded()

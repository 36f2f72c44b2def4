"""The recording of an exchange's request, and of its end."""

from penstock._core.recording import Recording
from penstock._core.verdict import FrameKind, MaskSpec
from unit.penstock._core.fake_sides import KEY, KNOWN, TOKEN, Stage, a_request, an_upstream

KEY_OF_SOMEBODY = b"sk_" + b"live_" + b"4eC39HqLyjWDarjtT1zdp7dc"


def a_recording(stage: Stage) -> Recording:
    """Returns the recording of the stage's request."""
    return Recording(stage.env, stage.request, "c" * 32, MaskSpec(), KEY)


def a_post(*headers: tuple[str, str]) -> Stage:
    """Returns a stage with a POST with a query and a label."""
    return Stage(a_request("POST", "/billing/v1/x?q=1", ("X-Penstock-Session", "job 7"), *headers))


def test_a_request_is_recorded_as_it_was_judged() -> None:
    """Path below the mount, query, forwarded headers without credentials; body and head in one frame."""
    stage = a_post(("Content-Type", "text/plain"), ("Cookie", "a=b"))
    recording = a_recording(stage)
    recording.request(b"body", complete=True)
    recording.end("complete")
    frame = stage.recorder.frames[0]
    assert (frame.kind, frame.start, frame.body) == (FrameKind.REQUEST, "POST /v1/x?q=1", b"body")
    assert frame.headers == stage.request.headers
    assert (frame.upstream, frame.session, frame.call_id) == ("billing", "job 7", "c" * 32)
    assert TOKEN.encode() not in stage.recorder.everything()
    assert stage.recorder.kinds == ["request", "complete"]


def test_a_body_that_comes_in_pieces_is_recorded_in_order() -> None:
    """The head goes with the first frame; nothing follows the last piece."""
    stage = a_post()
    recording = a_recording(stage)
    recording.request(b"", complete=False)
    recording.request(b"a" * 70_000, complete=False)
    recording.request(b"b", complete=True)
    recording.request(b"never", complete=True)
    recording.end("complete")
    assert stage.recorder.body(FrameKind.REQUEST) == b"a" * 70_000 + b"b"
    assert stage.recorder.kinds == ["request", "request_body", "complete"]


def test_a_request_that_never_ends_is_recorded_as_far_as_it_came() -> None:
    """The end says how it ended."""
    stage = a_post()
    recording = a_recording(stage)
    recording.request(b"half", complete=False)
    assert stage.recorder.frames == []
    recording.end("aborted_by_client")
    assert stage.recorder.kinds == ["request", "aborted_by_client"]
    assert stage.recorder.body(FrameKind.REQUEST) == b"half"


def test_a_body_is_masked_by_what_the_request_says_it_is() -> None:
    """Its type and coding are read from its own headers; what cannot be read is left out."""
    text = b'{"a":"' + KEY_OF_SOMEBODY.replace(b"k", b"\\u006b") + b'"}'
    stage = a_post(("Content-Type", "application/json"))
    a_recording(stage).request(text, complete=True)
    assert stage.recorder.body(FrameKind.REQUEST).startswith(b'{"a":"\xc2\xabstripe-key:')
    stage = a_post(("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    recording = a_recording(stage)
    recording.request(text, complete=True)
    recording.end("complete")
    assert stage.recorder.body(FrameKind.REQUEST) == b""
    assert stage.recorder.frames[-1].masked == {"unmaskable": 1}


def test_known_values_are_masked_in_every_part_of_a_request() -> None:
    """An agent may have got hold of one in another way."""
    value = KNOWN.value.decode()
    target, note, label = f"/billing/{value}?q={value}", ("X-Note", value), ("X-Penstock-Session", value)
    request = a_request("POST", target, note, label, upstream=an_upstream(known=(KNOWN,)))
    stage = Stage(request)
    a_recording(stage).request(KNOWN.value, complete=True)
    assert KNOWN.value not in stage.recorder.everything()
    assert stage.recorder.frames[0].masked == {"billing-key": 4}

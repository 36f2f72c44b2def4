"""The tape: frames in the order of what happened, masked here unless they come masked, and of bounded size."""

import pytest

from penstock._core.mounts import Route
from penstock._core.tape import FRAME_BYTES, Tape
from penstock._core.verdict import FrameKind, MaskSpec
from unit.penstock._core.fake_sides import KEY, KNOWN, FakeRecorder, an_upstream

KEY_OF_SOMEBODY = b"sk_" + b"live_" + b"4eC39HqLyjWDarjtT1zdp7dc"
TEXT = "text/plain"


def a_tape(recorder: FakeRecorder, session: str = "", spec: MaskSpec | None = None) -> Tape:
    """Returns a tape of an upstream with a known value."""
    mask = Route.of(an_upstream(known=(KNOWN,))).recorded(spec or MaskSpec())
    return Tape(recorder, iter(range(100, 200)).__next__, "c" * 32, "billing", session, mask, KEY)


def test_a_message_and_its_end_are_frames() -> None:
    """Each names its exchange, its upstream, the session's label and its own time; the head is on the first alone."""
    recorder = FakeRecorder()
    tape = a_tape(recorder, "job 7")
    track = tape.track(FrameKind.REQUEST, "GET /x", (("accept", b"*/*"),), TEXT, "")
    track.feed(b"abc")
    track.feed(b"def")
    assert recorder.frames == []
    track.finish()
    tape.end("complete")
    first, last = recorder.frames
    assert (first.kind, first.start, first.headers, first.body) == (
        FrameKind.REQUEST,
        "GET /x",
        (("accept", b"*/*"),),
        b"abcdef",
    )
    assert (last.kind, last.outcome, last.start, last.headers, last.body) == (FrameKind.END, "complete", "", (), b"")
    assert [(each.call_id, each.upstream, each.session) for each in recorder.frames] == [
        ("c" * 32, "billing", "job 7")
    ] * 2
    assert [each.at_ms for each in recorder.frames] == [100, 101]


@pytest.mark.parametrize("whole", [False, True])
def test_a_message_without_a_body_is_one_frame(whole: bool) -> None:
    """Its head alone."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    track = tape.track(FrameKind.RESPONSE, "204", (), "", "")
    if whole:
        track.whole(b"")
    else:
        track.finish()
    tape.end("complete")
    assert [(each.kind, each.start, each.body) for each in recorder.frames] == [(FrameKind.RESPONSE, "204", b"")]


def test_the_end_of_the_answer_is_the_end_of_the_exchange() -> None:
    """Its last frame says the outcome; where the answer had ended on a full frame before, a frame of its own does."""
    for size, kinds in [
        (7, ["response", "complete"]),
        (FRAME_BYTES + 1, ["response", "response_body", "complete"]),
        (FRAME_BYTES, ["response", "complete"]),
    ]:
        for pieces in (False, True):
            recorder = FakeRecorder()
            tape = a_tape(recorder)
            track = tape.masked_track(FrameKind.RESPONSE, "200", ())
            if pieces:
                track.feed(b"x" * size)
                track.finish()
            else:
                track.whole(b"x" * size)
            tape.end("complete")
            assert recorder.kinds == kinds
            own = recorder.frames[-1].kind is FrameKind.END
            assert own == (pieces and size == FRAME_BYTES)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("way", ["whole", "pieces", "one piece"])
@pytest.mark.parametrize(
    "size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 3 * FRAME_BYTES + 7]
)
def test_frames_are_full_but_for_the_last(size: int, way: str, masked: bool) -> None:
    """However a body comes, its frames are of at most 65536 bytes, none is empty but a lone head, and none is lost."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    body = (b"%08d" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]
    track = (
        tape.masked_track(FrameKind.RESPONSE, "200", ())
        if masked
        else tape.track(FrameKind.RESPONSE, "200", (), TEXT, "")
    )
    if way == "whole":
        track.whole(body)
    else:
        step = 10_007 if way == "pieces" else size + 1
        for at in range(0, size, step):
            track.feed(body[at : at + step])
        track.finish()
    tape.end("complete")
    assert recorder.body(FrameKind.RESPONSE) == body
    sizes = [len(each.body) for each in recorder.frames if each.kind is not FrameKind.END]
    assert sizes == [FRAME_BYTES] * (size // FRAME_BYTES) + (
        [size % FRAME_BYTES] if size % FRAME_BYTES or not size else []
    )
    assert [each.kind for each in recorder.frames][: len(sizes)] == [FrameKind.RESPONSE] + [FrameKind.RESPONSE_BODY] * (
        len(sizes) - 1
    )


def test_long_bodies_are_handed_over_while_they_come() -> None:
    """No more than a frame and what one piece adds waits in memory."""
    recorder = FakeRecorder()
    track = a_tape(recorder).masked_track(FrameKind.REQUEST, "PUT /x", ())
    for count in range(1, 9):
        track.feed(b"x" * (FRAME_BYTES // 2))
        assert len(recorder.frames) == count // 2


def test_nothing_leaves_unmasked() -> None:
    """Start line, headers, body and label: with known values, and with the detectors of credentials."""
    recorder = FakeRecorder()
    secret = KNOWN.value + b" " + KEY_OF_SOMEBODY
    tape = a_tape(recorder, secret.decode())
    start = f"GET /{KEY_OF_SOMEBODY.decode()}?k={KNOWN.value.decode()}"
    track = tape.track(FrameKind.REQUEST, start, (("x-a", secret), ("x-b", b"plain")), "application/json", "")
    track.feed(b'{"a":"' + secret[:30])
    track.feed(secret[30:] + b'","b":1}')
    track.finish()
    tape.end("complete")
    assert KNOWN.value not in recorder.everything() and KEY_OF_SOMEBODY not in recorder.everything()
    frame = recorder.frames[0]
    assert frame.start.startswith("GET /«stripe-key:") and "?k=«billing-key:" in frame.start
    assert frame.headers[1] == ("x-b", b"plain")
    assert frame.session.startswith("«billing-key:")
    assert frame.body.startswith(b'{"a":"\xc2\xabbilling-key:') and frame.body.endswith(b'","b":1}')


def test_counts_are_of_what_was_masked_so_far() -> None:
    """Each frame has its own copy; the last has the sum."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    tape.track(FrameKind.REQUEST, "GET /x", (("x-a", KNOWN.value),), "", "").whole(b"")
    tape.count({"email": 2})
    tape.track(FrameKind.RESPONSE, "200", (), TEXT, "").whole(KNOWN.value + b" " + KEY_OF_SOMEBODY)
    tape.end("complete")
    assert [frame.masked for frame in recorder.frames] == [
        {"billing-key": 1},
        {"billing-key": 2, "stripe-key": 1, "email": 2},
    ]


@pytest.mark.parametrize(
    ("kind", "coding"), [("text/plain", "gzip"), ("image/png", ""), ("text/plain; charset=utf-16", "")]
)
@pytest.mark.parametrize("way", ["whole", "pieces"])
def test_a_body_that_cannot_be_masked_is_left_out_and_said(kind: str, coding: str, way: str) -> None:
    """The head is there, the body is not, and the count says why."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    track = tape.track(FrameKind.REQUEST, "POST /x", (("content-type", kind.encode()),), kind, coding)
    if way == "whole":
        track.whole(b"hidden" * 3)
    else:
        for _ in range(3):
            track.feed(b"hidden")
        track.finish()
    tape.end("complete")
    assert recorder.kinds == ["request", "complete"]
    assert recorder.frames[0].start == "POST /x" and recorder.frames[0].headers
    assert b"hidden" not in recorder.everything()
    assert recorder.frames[-1].masked == {"unmaskable": 1}


def test_a_body_that_becomes_unmaskable_is_recorded_up_to_there() -> None:
    """Only the rest is left out."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    track = tape.track(FrameKind.REQUEST, "POST /x", (), TEXT, "")
    track.feed(b"seen. " * 40_000)
    before = len(recorder.frames)
    track.feed(b"n\0u\0l\0")
    track.feed(b"later")
    track.finish()
    tape.end("complete")
    assert before and recorder.body(FrameKind.REQUEST).startswith(b"seen. seen. ")
    assert b"later" not in recorder.everything()
    assert recorder.frames[-1].masked == {"unmaskable": 1}


def test_what_comes_masked_is_not_looked_at_again() -> None:
    """Whoever hands it over has masked it, with the same masks."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    track = tape.masked_track(FrameKind.RESPONSE, "200", (("x-a", "«email:A»".encode()),))
    track.whole("«email:A» \0".encode())
    tape.end("complete")
    assert recorder.frames[0].headers == (("x-a", "«email:A»".encode()),)
    assert recorder.frames[0].body == "«email:A» \0".encode()


def test_text_that_is_no_unicode_is_still_recorded() -> None:
    """With replacement characters rather than an exception."""
    recorder = FakeRecorder()
    tape = a_tape(recorder, "lone \ud800")
    tape.track(FrameKind.REQUEST, "GET /\ud800", (), "", "").whole(b"")
    assert recorder.frames[0].session == "lone ?"
    assert recorder.frames[0].start == "GET /?"


def test_the_last_frame_counts_what_was_masked_since() -> None:
    """The rest of an upload may come after its answer."""
    recorder = FakeRecorder()
    tape = a_tape(recorder)
    tape.masked_track(FrameKind.RESPONSE, "200", ()).whole(b"ok")
    tape.count({"email": 1})
    tape.end("complete")
    assert recorder.frames[-1].masked == {"email": 1}

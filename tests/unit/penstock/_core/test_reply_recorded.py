"""What is recorded of answers: what the agent got, masked with the detectors of credentials whatever the rules say."""

import pytest

from penstock._core.answer import BadAnswerError
from penstock._core.verdict import FrameKind, MaskSpec
from unit.penstock._core.fake_sides import KNOWN
from unit.penstock._core.test_reply import EMAIL, EVENTS, JSON, NAME, TEXT, Answer, chunked

KEY_OF_SOMEBODY = b"sk_" + b"live_" + b"4eC39HqLyjWDarjtT1zdp7dc"
ALL = MaskSpec(detectors=frozenset({"all"}))
SPECS = [MaskSpec(), EMAIL, ALL, NAME, MaskSpec(headers=frozenset({"x-debug"}))]


def a_text(answer: Answer, kind: tuple[str, str], *, length: bool) -> bytes:
    """Plays an answer whose header and body hold a known value and a key that nobody stored; returns the text."""
    text = b"one " + KNOWN.value + b" two " + KEY_OF_SOMEBODY + b" three"
    body = {JSON: b'{"name":"%b"}' % text, TEXT: text, EVENTS: b"data: %b\n\n" % text}[kind]
    sized = [("Content-Length", str(len(body)))] if length else []
    answer.play([kind, ("X-Debug", text.decode()), *sized], body[:20], body[20:])
    return text


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("length", [False, True])
@pytest.mark.parametrize("kind", [JSON, TEXT, EVENTS])
def test_the_recorded_copy_is_masked_with_the_detectors_of_credentials(
    spec: MaskSpec, known: bool, length: bool, kind: tuple[str, str]
) -> None:
    """In header and body, streamed or not, also when the rules mask nothing for the agent."""
    answer = Answer(spec, known=known)
    a_text(answer, kind, length=length)
    answer.tape.end("complete")
    assert KEY_OF_SOMEBODY not in answer.recorder.everything()
    assert (KNOWN.value in answer.recorder.everything()) <= (not known)
    body = answer.recorder.body(FrameKind.RESPONSE)
    assert b"\xc2\xab" in body
    frames = answer.recorder.frames
    assert frames[0].kind is FrameKind.RESPONSE
    assert (frames[0].start, frames[0].call_id, frames[0].upstream, frames[0].at_ms) == ("200", "c" * 32, "billing", 5)
    assert [name for name, _ in frames[0].headers] == ["content-type", "x-debug"]


@pytest.mark.parametrize("length", [False, True])
@pytest.mark.parametrize("kind", [JSON, TEXT, EVENTS])
def test_where_the_rules_mask_credentials_the_recording_is_what_the_agent_got(
    kind: tuple[str, str], length: bool
) -> None:
    """Byte for byte, so that nothing is scanned twice."""
    answer = Answer(ALL, known=True)
    a_text(answer, kind, length=length)
    answer.tape.end("complete")
    head, _, body = answer.party.written.partition(b"\r\n\r\n")
    got = chunked(body) if b"transfer-encoding" in head else body
    assert answer.recorder.body(FrameKind.RESPONSE) == got
    assert dict(answer.recorder.frames[0].headers)["x-debug"] in head


@pytest.mark.parametrize("length", [False, True])
@pytest.mark.parametrize("kind", [JSON, TEXT, EVENTS])
@pytest.mark.parametrize(
    ("spec", "known", "counts"),
    [
        (MaskSpec(), True, {"billing-key": 2, "stripe-key": 2}),
        (MaskSpec(), False, {"stripe-key": 2}),
        (ALL, True, {"billing-key": 2, "stripe-key": 2}),
        (EMAIL, True, {"billing-key": 2, "stripe-key": 2}),
        (MaskSpec(headers=frozenset({"x-debug"})), True, {"header": 1, "billing-key": 1, "stripe-key": 1}),
    ],
)
def test_each_masked_stretch_is_counted_once(
    spec: MaskSpec, known: bool, counts: dict[str, int], kind: tuple[str, str], length: bool
) -> None:
    """Once in the header, once in the body: whether it was masked for the agent, for the recording, or for both."""
    answer = Answer(spec, known=known)
    a_text(answer, kind, length=length)
    answer.tape.end("complete")
    assert answer.recorder.frames[-1].masked == counts


def test_a_value_that_a_rule_masks_has_one_token() -> None:
    """The recording shows the token that the agent got, not a token of a token."""
    spec = MaskSpec(json=frozenset({"/name"}), headers=frozenset({"x-debug"}))
    answer = Answer(spec)
    answer.play([JSON, ("X-Debug", "abc"), ("Content-Length", "14")], b'{"name":"Ada"}')
    answer.tape.end("complete")
    head, _, body = answer.party.written.partition(b"\r\n\r\n")
    assert answer.recorder.body(FrameKind.RESPONSE) == body
    assert dict(answer.recorder.frames[0].headers)["x-debug"] in head


def test_what_cannot_be_masked_for_the_recording_is_left_out() -> None:
    """The agent gets it, as no rule masks anything; the recording says that it is missing."""
    answer = Answer()
    got = answer.play([TEXT, ("Content-Encoding", "gzip"), ("Content-Length", "8")], b"\x1f\x8b12", b"3456")
    assert got.endswith(b"\r\n\r\n\x1f\x8b123456")
    answer.tape.end("complete")
    assert answer.recorder.body(FrameKind.RESPONSE) == b""
    assert answer.recorder.kinds == ["response", "complete"]
    assert answer.recorder.frames[-1].masked == {"unmaskable": 1}


def test_a_large_answer_is_recorded_in_frames_of_bounded_size() -> None:
    """All of it, in order, the head once."""
    body = bytes(range(32, 127)) * 3000
    answer = Answer()
    pieces = [body[at : at + 50_001] for at in range(0, len(body), 50_001)]
    answer.play([TEXT, ("Content-Length", str(len(body)))], *pieces)
    answer.tape.end("complete")
    assert answer.recorder.body(FrameKind.RESPONSE) == body
    assert answer.recorder.kinds == ["response"] + ["response_body"] * (len(body) // 65536) + ["complete"]
    assert all(len(frame.body) == 65536 for frame in answer.recorder.frames[:-1])
    assert [bool(frame.headers) for frame in answer.recorder.frames].count(True) == 1


@pytest.mark.parametrize("kind", [TEXT, EVENTS])
def test_an_answer_that_breaks_off_is_recorded_as_far_as_it_came(kind: tuple[str, str]) -> None:
    """With what was masked in it, counted."""
    answer = Answer()
    answer.play([kind], b"data: key " + KEY_OF_SOMEBODY + b" here\n\ndata: and m", end=False)
    answer.reply.lost()
    answer.tape.end("aborted_by_upstream")
    recorded = answer.recorder.body(FrameKind.RESPONSE)
    assert recorded.startswith(b"data: key \xc2\xabstripe-key:") and KEY_OF_SOMEBODY not in recorded
    assert recorded.endswith(b"and m")
    assert answer.recorder.frames[-1].masked == {"stripe-key": 1}


def test_a_masked_answer_that_breaks_off_is_recorded_as_far_as_the_agent_got_it() -> None:
    """What the mask still held back is in neither; what it replaced is counted."""
    answer = Answer(ALL)
    answer.play([TEXT], b"key " + KEY_OF_SOMEBODY + b" here, " + b"and more. " * 200, end=False)
    answer.reply.lost()
    answer.tape.end("aborted_by_upstream")
    sent = answer.party.body
    recorded = answer.recorder.body(FrameKind.RESPONSE)
    assert recorded.startswith(b"key \xc2\xabstripe-key:") and recorded == chunked(sent + b"0\r\n\r\n")
    assert answer.recorder.frames[-1].masked == {"stripe-key": 1}


def test_a_body_that_was_gathered_and_refused_is_not_recorded() -> None:
    """Nobody got it."""
    answer = Answer(NAME)
    with pytest.raises(BadAnswerError):
        answer.play([JSON, ("Content-Length", "9")], b'{"a":oops')
    assert answer.recorder.frames == []

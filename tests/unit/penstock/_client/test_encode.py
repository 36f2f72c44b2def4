"""The hand-written wire form against the generated classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._client.encode import MAX_FRAME_BODY, ask_field, cancelled_field, frame_field, run_field
from penstock._core.describe import Action, BodyState, HttpRequest
from penstock._core.verdict import Ask, Frame, FrameKind
from penstock.v1 import action_pb2, decision_pb2, recording_pb2

TEXT = st.text(max_size=300)
BYTES = st.binary(max_size=400) | st.binary(min_size=1020, max_size=1030) | st.just(b"x" * 20_000)
HEADERS = st.lists(st.tuples(st.text(min_size=1, max_size=20), BYTES), max_size=5).map(tuple)
STATES = {
    BodyState.NONE: action_pb2.BODY_STATE_NONE,
    BodyState.WITHHELD: action_pb2.BODY_STATE_WITHHELD,
    BodyState.WHOLE: action_pb2.BODY_STATE_WHOLE,
}
KINDS = {kind: recording_pb2.FrameKind.Value(f"FRAME_KIND_{kind.name}") for kind in FrameKind}

HTTP = st.builds(
    HttpRequest,
    method=TEXT,
    authority=TEXT,
    path=TEXT,
    query=TEXT,
    headers=HEADERS,
    body_state=st.sampled_from(BodyState),
    body=BYTES,
)
ASKS = st.builds(
    Ask, call_id=TEXT, token=TEXT, action=st.builds(Action, TEXT, HTTP), session=TEXT, can_hold=st.booleans()
)
FRAMES = st.builds(
    Frame,
    call_id=TEXT,
    kind=st.sampled_from(FrameKind),
    at_ms=st.integers(0, 2**63 - 1),
    upstream=TEXT,
    session=TEXT,
    start=TEXT,
    headers=HEADERS,
    body=BYTES,
    outcome=TEXT,
    masked=st.dictionaries(st.text(min_size=1, max_size=10), st.integers(1, 2**32 - 1), max_size=4),
)


def as_pb(headers: tuple[tuple[str, bytes], ...]) -> list[action_pb2.Header]:
    """Returns the generated form of headers."""
    return [action_pb2.Header(name=name, value=value) for name, value in headers]


@given(st.lists(ASKS, max_size=3), st.lists(TEXT, max_size=3))
def test_asks_read_back_as_they_were(asks: list[Ask], cancelled: list[str]) -> None:
    """Every field of every ask arrives; several in one message stay in order."""
    wire = b"".join([ask_field(ask) for ask in asks] + [cancelled_field(call_id) for call_id in cancelled])
    wanted = decision_pb2.DecideStreamRequest(
        asks=[
            decision_pb2.Ask(
                call_id=ask.call_id,
                token=ask.token,
                session=ask.session,
                can_hold=ask.can_hold,
                action=action_pb2.Action(
                    upstream=ask.action.upstream,
                    http=action_pb2.HttpRequest(
                        method=ask.action.http.method,
                        authority=ask.action.http.authority,
                        path=ask.action.http.path,
                        query=ask.action.http.query,
                        headers=as_pb(ask.action.http.headers),
                        body_state=STATES[ask.action.http.body_state],
                        body=ask.action.http.body,
                    ),
                ),
            )
            for ask in asks
        ],
        cancelled=cancelled,
    )
    assert decision_pb2.DecideStreamRequest.FromString(wire) == wanted


@given(st.integers(0, 2**64 - 1), FRAMES)
def test_frames_read_back_as_they_were(seq: int, frame: Frame) -> None:
    """Every field of a frame arrives."""
    wanted = recording_pb2.RecordRequest(
        run_id="r1",
        frames=[
            recording_pb2.Frame(
                seq=seq,
                call_id=frame.call_id,
                kind=KINDS[frame.kind],
                at_ms=frame.at_ms,
                upstream=frame.upstream,
                session=frame.session,
                start=frame.start,
                headers=as_pb(frame.headers),
                body=frame.body,
                outcome=frame.outcome,
                masked=frame.masked,
            )
        ],
    )
    assert recording_pb2.RecordRequest.FromString(run_field("r1") + frame_field(seq, frame)) == wanted


def test_a_body_that_no_frame_may_carry_is_refused() -> None:
    """65536 bytes fit, one more raises."""
    frame = Frame("a", FrameKind.RESPONSE_BODY, 1, "u", body=b"x" * MAX_FRAME_BODY)
    assert frame_field(1, frame)
    frame.body += b"x"
    with pytest.raises(ValueError, match="65536"):
        frame_field(1, frame)


def test_a_time_before_the_epoch_is_refused() -> None:
    """A negative time has no place on the wire."""
    with pytest.raises(ValueError, match="64 bits"):
        frame_field(1, Frame("a", FrameKind.END, -1, "u"))


def test_odd_text_is_escaped_in_a_frame_and_refused_in_an_ask() -> None:
    """A recording keeps what it can; a question must be exact."""
    frame = Frame("a", FrameKind.REQUEST, 1, "u", session="s\udc80", start="GET /\udcff")
    message = recording_pb2.RecordRequest.FromString(frame_field(1, frame)).frames[0]
    assert (message.session, message.start) == ("s\\udc80", "GET /\\udcff")
    with pytest.raises(ValueError, match="surrogates"):
        ask_field(Ask("a", "t", Action("u", HttpRequest("GET", "h", "/\udc80"))))

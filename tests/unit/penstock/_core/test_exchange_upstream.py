"""Transcripts of exchanges whose upstream is slow, dies, or answers what cannot be passed on."""

import json

import pytest

from penstock._core.exchange import State
from penstock._core.incoming import Incoming
from penstock._core.limits import Limits
from penstock._core.verdict import FrameKind, MaskSpec, Outcome
from unit.penstock._core.fake_sides import FakeLink, Stage, a_request

EMAIL = MaskSpec(detectors=frozenset({"email"}))
NAME = MaskSpec(json=frozenset({"/name"}))
JSON = ("content-type", "application/json")


def forwarding(request: Incoming | None = None, *, reused: bool = False, **verdict: object) -> tuple[Stage, FakeLink]:
    """Returns a stage whose request has been sent up whole."""
    stage = Stage(request, limits=Limits(answer_timeout_s=600, stream_timeout_s=300))
    length = stage.request.length
    stage.send(*([b"x" * length] if length else []))
    stage.decide(Outcome.ALLOW, **verdict)
    return stage, stage.connect(reused=reused)


def code(stage: Stage) -> str:
    """Returns the code of the refusal."""
    found: str = json.loads(stage.party.body)["code"]
    return found


def test_an_upstream_that_cannot_be_reached_is_a_502() -> None:
    """With what the pool says; the agent's connection is kept."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.ALLOW)
    stage.exchange.open_failed("upstream_unreachable", "billing cannot be reached.")
    assert (stage.party.status, code(stage), stage.party.ended) == (502, "upstream_unreachable", "kept")
    assert stage.recorder.kinds == ["request", "refused"]


def test_an_upstream_that_dies_before_its_answer_is_a_502() -> None:
    """It may have acted: that is said."""
    stage, _ = forwarding()
    stage.exchange.link_lost()
    assert (stage.party.status, code(stage), stage.party.ended) == (502, "upstream_lost", "kept")
    assert "may have acted" in json.loads(stage.party.body)["detail"]
    assert stage.recorder.kinds == ["request", "aborted_by_upstream"]


def test_an_upstream_that_dies_within_its_answer_breaks_the_agents_connection() -> None:
    """The chunked body is never ended cleanly."""
    stage, _ = forwarding()
    stage.answer(200, [], b"half", end=False)
    stage.exchange.link_lost()
    assert stage.party.ended == "aborted"
    assert stage.party.body == b"4\r\nhalf\r\n"
    assert stage.recorder.kinds == ["request", "response", "aborted_by_upstream"]
    assert stage.recorder.body(FrameKind.RESPONSE) == b"half"


def test_an_upstream_that_dies_while_its_answer_is_gathered_is_a_502() -> None:
    """Nothing was sent, so that the agent can be told."""
    stage, _ = forwarding(masks=EMAIL)
    stage.answer(200, [JSON, ("content-length", "30")], b'{"a":', end=False)
    stage.exchange.link_lost()
    assert (stage.party.status, code(stage), stage.party.ended) == (502, "upstream_lost", "kept")
    assert stage.recorder.kinds == ["request", "aborted_by_upstream"]


# A kept connection that was stale.


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_request_that_changes_nothing_is_sent_again_once(method: str) -> None:
    """Over a fresh connection, if a kept one broke before any answer; it is recorded once."""
    stage, stale = forwarding(a_request(method), reused=True)
    stage.exchange.link_lost()
    assert stage.log[-1] == "upstream: open fresh" and stage.exchange.state is State.OPENING
    link = stage.connect()
    assert link.sent == stale.sent
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 2)
    assert stage.recorder.kinds == ["request", "aborted_by_upstream"]


def test_an_answer_over_the_fresh_connection_is_as_any_other() -> None:
    """The agent notices nothing."""
    stage, _ = forwarding(reused=True)
    stage.exchange.link_lost()
    link = stage.connect()
    stage.answer(200, [("content-length", "2")], b"ok")
    assert (stage.party.status, stage.party.ended, link.ended) == (200, "kept", "released")
    assert stage.recorder.kinds == ["request", "response", "complete"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_request_that_may_change_something_is_never_sent_again(method: str) -> None:
    """The upstream may have acted on it."""
    stage, _ = forwarding(a_request(method), reused=True)
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 1)


def test_a_request_with_a_body_is_never_sent_again() -> None:
    """It is gone."""
    stage, _ = forwarding(a_request("GET", "/billing/x", ("Content-Length", "5")), reused=True)
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 1)


def test_a_granted_request_is_never_sent_again() -> None:
    """One grant is one request: whether the first one was used is unknown."""
    stage, _ = forwarding(reused=True, approval="apr_1")
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 1)


def test_a_request_over_a_new_connection_is_not_sent_again() -> None:
    """That one was not stale."""
    stage, _ = forwarding(reused=False)
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 1)


def test_a_request_whose_answer_has_begun_is_not_sent_again() -> None:
    """Also if nothing of it has gone to the agent yet."""
    stage, _ = forwarding(reused=True, masks=EMAIL)
    stage.answer(200, [JSON], b"{", end=False)
    stage.exchange.link_lost()
    assert (stage.party.status, len(stage.links.wanted)) == (502, 1)


# What cannot be passed on.


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "5"), ("transfer-encoding", "chunked")],
        [("content-length", "5"), ("content-length", "5")],
        [("transfer-encoding", "gzip, chunked")],
        [("content-type", "text/plain"), ("content-type", "text/html")],
    ],
)
def test_an_ambiguous_answer_is_a_502(headers: list[tuple[str, str]]) -> None:
    """Nothing of it reaches the agent, and its connection is not used again."""
    stage, link = forwarding()
    stage.answer(200, headers, b"hello")
    assert (stage.party.status, code(stage), stage.party.ended) == (502, "bad_answer", "kept")
    assert link.ended == "aborted" and b"hello" not in stage.party.written
    assert stage.recorder.kinds == ["request", "refused"]


@pytest.mark.parametrize("headers", [[("content-type", "image/png")], [JSON, ("content-encoding", "gzip")]])
def test_an_answer_that_cannot_be_masked_is_a_502(headers: list[tuple[str, str]]) -> None:
    """By its head alone: what cannot be decoded is refused, never passed through."""
    stage, link = forwarding(masks=EMAIL)
    stage.answer(200, headers, b"hello")
    assert (stage.party.status, code(stage), link.ended) == (502, "answer_unmaskable", "aborted")
    assert b"hello" not in stage.party.written + stage.recorder.everything()


@pytest.mark.parametrize("length", [True, False])
def test_an_answer_that_turns_out_to_be_unmaskable_is_refused_while_nothing_was_sent(length: bool) -> None:
    """Where a rule names a place in JSON, and there is none."""
    stage, link = forwarding(masks=NAME)
    body = b"<html>secret</html>"
    stage.answer(200, [JSON, *([("content-length", str(len(body)))] if length else [])], body)
    assert (stage.party.status, code(stage), link.ended) == (502, "answer_unmaskable", "aborted")
    assert b"secret" not in stage.party.written + stage.recorder.everything()


def test_an_answer_that_becomes_unmaskable_is_cut() -> None:
    """After its first byte only breaking the connection is left; what went before was masked."""
    stage, link = forwarding(masks=NAME)
    item = b'{"name":"Ada","pad":"' + b"x" * 1000 + b'"},'
    stage.answer(200, [JSON], b"[", *[item] * 1100, end=False)
    assert stage.party.written
    stage.exchange.answer_body(b"<html>secret")
    assert (stage.party.ended, link.ended) == ("aborted", "aborted")
    assert not stage.party.written.endswith(b"0\r\n\r\n")
    assert b"<html>" not in stage.party.written + stage.recorder.everything()
    assert stage.recorder.kinds[-1] == "aborted_by_shim"


# Deadlines.


def test_an_upstream_that_does_not_answer_in_time_is_a_504() -> None:
    """It may have acted; its connection is broken."""
    stage, link = forwarding()
    stage.pass_time(599)
    assert not stage.party.ended
    stage.pass_time(1)
    assert (stage.party.status, code(stage), link.ended) == (504, "upstream_timeout", "aborted")
    assert stage.recorder.kinds == ["request", "refused"]


def test_an_answer_that_stops_coming_is_cut() -> None:
    """Each read gives it more time: a stream may last for hours."""
    stage, link = forwarding()
    stage.answer(200, [], b"one", end=False)
    for _ in range(5):
        stage.pass_time(299)
        stage.exchange.answer_body(b"more")
        stage.exchange.answer_flush()
    assert not stage.party.ended
    stage.pass_time(300)
    assert (stage.party.ended, link.ended) == ("aborted", "aborted")
    assert stage.recorder.kinds == ["request", "response", "aborted_by_shim"]


def test_an_answer_that_stops_coming_while_it_is_gathered_is_a_504() -> None:
    """A refusal is possible until the first byte has gone to the agent."""
    stage, link = forwarding(masks=EMAIL)
    stage.answer(200, [JSON], b"{", end=False)
    stage.pass_time(300)
    assert link.ended == "aborted"
    assert (stage.party.status, code(stage), stage.party.ended) == (504, "upstream_timeout", "kept")


@pytest.mark.parametrize("state", ["asked", "opening"])
def test_what_others_watch_has_no_deadline_here(state: str) -> None:
    """The decider answers in time by itself, and so does the pool."""
    stage = Stage()
    stage.send(end=False)
    if state == "opening":
        stage.decide(Outcome.ALLOW)
    assert stage.exchange.deadline == 0
    stage.exchange.expired()
    assert not stage.party.ended


# Events that come too late or too early change nothing.


def test_events_after_the_end_change_nothing() -> None:
    """A link may have more to say, and a decider as well."""
    stage, _ = forwarding()
    stage.answer(200, [("content-length", "2")], b"ok")
    before = (stage.party.written, list(stage.log), stage.recorder.kinds)
    stage.answer(500, [], b"more")
    stage.exchange.link_lost()
    stage.exchange.link_slow(True)
    stage.exchange.agent_slow(True)
    stage.exchange.expired()
    stage.exchange.open_failed("x", "y")
    stage.exchange.body(b"more")
    stage.exchange.end()
    stage.exchange.start()
    stage.exchange.gone()
    stage.decide(Outcome.ALLOW)
    assert (stage.party.written, stage.log, stage.recorder.kinds) == before
    assert not stage.party.paused


def test_an_answer_without_a_question_is_not_taken() -> None:
    """Body and end before a head, and heads of the wrong moment, reach nobody."""
    stage = Stage()
    stage.answer(200, [], b"early")
    stage.send(end=False)
    stage.answer(200, [], b"early")
    stage.decide(Outcome.ALLOW)
    stage.answer(200, [], b"early")
    stage.connect()
    stage.exchange.answer_body(b"early")
    stage.exchange.answer_end()
    assert stage.party.written == b""
    stage.answer(200, [("content-length", "2")], b"ok")
    assert stage.party.body == b"ok"

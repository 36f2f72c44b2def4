"""Transcripts of exchanges with a body: what goes with the question, what waits, and who is slowed down."""

import json

import pytest

from penstock._core.describe import BodyState
from penstock._core.exchange import FIRST_BODY_BYTES, State
from penstock._core.incoming import Incoming
from penstock._core.limits import Limits
from penstock._core.verdict import FrameKind, Outcome
from unit.penstock._core.fake_sides import TOKEN, Stage, a_request, added

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = [("content-length", "2")]


def a_post(length: int | None = None, *headers: tuple[str, str], method: str = "POST") -> Incoming:
    """Returns a request with a body of that length, in chunks if None."""
    framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    return a_request(method, "/billing/v1/things", framing, *headers)


def code(stage: Stage) -> str:
    """Returns the code of the refusal."""
    found: str = json.loads(stage.party.body)["code"]
    return found


# What goes with the question.


@pytest.mark.parametrize("length", [5, None])
def test_a_small_body_that_came_with_its_head_goes_with_the_question(length: int | None) -> None:
    """One question is enough, and the body is forwarded byte for byte, with a length."""
    stage = Stage(a_post(length))
    stage.send(b"he", b"llo")
    assert (stage.judged.body_state, stage.judged.body) == (BodyState.WHOLE, b"hello")
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    assert link.body == b"hello" and b"\r\ncontent-length: 5\r\n" in link.head
    assert b"transfer-encoding" not in link.head
    stage.answer(200, OK, b"ok")
    assert stage.party.ended == "kept"
    assert stage.recorder.body(FrameKind.REQUEST) == b"hello"
    assert stage.recorder.kinds == ["request", "response", "complete"]
    assert stage.spool.used == 0


def test_chunks_that_hold_nothing_are_no_body() -> None:
    """The question says so, as for a request that never had one."""
    stage = Stage(a_post())
    stage.send()
    assert (stage.judged.body_state, stage.judged.body) == (BodyState.NONE, b"")
    stage.decide(Outcome.ALLOW)
    assert stage.connect().sent.endswith(b"\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(("size", "state"), [(0, BodyState.WHOLE), (1, BodyState.WITHHELD)])
def test_a_larger_body_is_withheld_until_it_is_demanded(size: int, state: BodyState) -> None:
    """Most rules do not read it."""
    stage = Stage(a_post(FIRST_BODY_BYTES + size))
    stage.send(b"x" * (FIRST_BODY_BYTES + size))
    assert stage.judged.body_state is state
    assert len(stage.judged.body) == (FIRST_BODY_BYTES if state is BodyState.WHOLE else 0)


def test_a_body_that_still_comes_is_withheld() -> None:
    """However small it will be."""
    stage = Stage(a_post(5))
    stage.send(b"hel", end=False)
    assert (stage.judged.body_state, stage.judged.body) == (BodyState.WITHHELD, b"")


def test_nothing_of_a_body_is_forwarded_before_the_verdict() -> None:
    """What comes meanwhile waits, and goes up in its order."""
    stage = Stage(a_post())
    stage.send(b"one ", end=False)
    stage.exchange.body(b"two ")
    stage.decide(Outcome.ALLOW)
    stage.exchange.body(b"three ")
    assert stage.log == ["service: asked withheld", "upstream: open"]
    link = stage.connect()
    assert link.body == b"e\r\none two three \r\n"
    stage.exchange.body(b"four")
    assert link.body.endswith(b"\r\n4\r\nfour\r\n")
    stage.exchange.end()
    assert link.body.endswith(b"four\r\n0\r\n\r\n")
    stage.answer(200, OK, b"ok")
    assert stage.recorder.body(FrameKind.REQUEST) == b"one two three four"
    assert (stage.party.ended, link.ended, stage.spool.used) == ("kept", "released", 0)


def test_a_known_length_stays_and_is_not_chunked() -> None:
    """Pieces go on as they are."""
    stage = Stage(a_post(9))
    stage.send(b"one", end=False)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    stage.exchange.body(b"two")
    stage.exchange.body(b"six")
    stage.exchange.end()
    assert b"\r\ncontent-length: 9\r\n" in link.head and link.body == b"onetwosix"


# The service needs the body.


@pytest.mark.parametrize("length", [11, None])
def test_the_body_is_gathered_when_the_service_needs_it(length: int | None) -> None:
    """It is asked again with the same call id and the whole body; only then anything is forwarded."""
    stage = Stage(a_post(length))
    stage.send(b"hello", end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=11)
    assert stage.exchange.state is State.COLLECTING
    stage.exchange.body(b" world")
    assert len(stage.decider.asks) == 1
    stage.exchange.end()
    assert stage.log == ["service: asked withheld", "service: asked whole"]
    assert stage.decider.asks[0].call_id == stage.decider.asks[1].call_id
    assert stage.judged.body == b"hello world"
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    assert link.body == b"hello world" and b"\r\ncontent-length: 11\r\n" in link.head


def test_a_body_that_is_all_there_is_asked_about_at_once() -> None:
    """No further event is needed."""
    body = b"x" * (FIRST_BODY_BYTES + 1)
    stage = Stage(a_post(len(body)))
    stage.send(body)
    stage.decide(Outcome.NEED_BODY, need_body_max=len(body))
    assert stage.log == ["service: asked withheld", "service: asked whole"]
    assert stage.judged.body == body


@pytest.mark.parametrize("how", ["said", "there", "comes"])
def test_a_body_that_is_larger_than_may_be_read_is_a_413(how: str) -> None:
    """By its Content-Length, by what waits already, or by the piece that is too much; never judged by a prefix."""
    stage = Stage(a_post(11 if how == "said" else None))
    stage.send(b"x" * (11 if how == "there" else 5), end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=10)
    if how == "comes":
        stage.exchange.body(b"x" * 5)
        assert not stage.party.ended
        stage.exchange.body(b"x")
    assert (stage.party.status, code(stage), stage.party.ended) == (413, "body_too_large", "closed")
    assert stage.log == ["service: asked withheld", "agent: HTTP/1.1 413 Request Entity Too Large", "agent: closed"]
    assert stage.recorder.kinds == ["request", "refused"]
    assert stage.spool.used == 0


@pytest.mark.parametrize("outcome", [Outcome.DENY, Outcome.UNAVAILABLE])
def test_the_answer_about_the_whole_body_counts(outcome: Outcome) -> None:
    """A denial then is a denial; the body is recorded, masked, with it."""
    stage = Stage(a_post(5))
    stage.send(b"hel", end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=100)
    stage.exchange.body(b"lo")
    stage.exchange.end()
    stage.decide(outcome)
    assert (stage.party.status, stage.party.ended) == (403 if outcome is Outcome.DENY else 503, "kept")
    assert stage.recorder.body(FrameKind.REQUEST) == b"hello"
    assert stage.links.wanted == []


@pytest.mark.parametrize("small", [True, False])
def test_a_service_that_needs_the_body_that_it_has_is_not_understood(small: bool) -> None:
    """A second NEED_BODY would be a loop: the request is refused."""
    stage = Stage(a_post(5) if small else a_post())
    stage.send(b"hello", end=small)
    if not small:
        stage.decide(Outcome.NEED_BODY, need_body_max=100)
        stage.exchange.end()
    stage.decide(Outcome.NEED_BODY, need_body_max=100)
    assert (stage.party.status, code(stage)) == (503, "service_unavailable")
    assert stage.links.wanted == []


def test_a_request_without_a_body_has_none_to_give() -> None:
    """A service that needs it is not understood."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=100)
    assert stage.party.status == 503


def test_a_body_that_stops_coming_is_given_up() -> None:
    """Each piece gives it more time; without one it is a 408."""
    stage = Stage(a_post(9), limits=Limits(body_timeout_s=60))
    stage.send(b"one", end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=100)
    stage.pass_time(59)
    stage.exchange.body(b"two")
    stage.pass_time(59)
    assert not stage.party.ended
    stage.pass_time(1)
    assert (stage.party.status, code(stage), stage.party.ended) == (408, "request_timeout", "closed")
    assert stage.recorder.kinds == ["request", "refused"]
    assert stage.links.wanted == []


# 100-continue.


@pytest.mark.parametrize("needed", [False, True])
def test_an_agent_that_waits_is_told_to_go_on_once(needed: bool) -> None:
    """When its body is wanted: by the service, else by the upstream; and not before the verdict."""
    stage = Stage(a_post(5, ("Expect", "100-continue")))
    stage.send(end=False)
    assert stage.party.written == b""
    if needed:
        stage.decide(Outcome.NEED_BODY, need_body_max=100)
        assert stage.party.written == CONTINUE
        stage.send(b"hello")
        stage.decide(Outcome.ALLOW)
        link = stage.connect()
    else:
        stage.decide(Outcome.ALLOW)
        link = stage.connect()
        assert stage.party.written == CONTINUE
        stage.send(b"hello")
    assert b"expect" not in link.sent and link.body == b"hello"
    stage.answer(200, OK, b"ok")
    assert stage.party.written == CONTINUE + b"HTTP/1.1 200 OK\r\n" + added() + b"content-length: 2\r\n\r\nok"


def test_an_agent_that_sends_anyway_is_not_told() -> None:
    """It did not wait."""
    stage = Stage(a_post(5, ("Expect", "100-continue")))
    stage.send(b"hel", end=False)
    stage.decide(Outcome.ALLOW)
    stage.connect()
    assert stage.party.written == b""


def test_an_agent_that_waits_for_a_denied_request_is_told_no() -> None:
    """Its body is never sent."""
    stage = Stage(a_post(5, ("Expect", "100-continue")))
    stage.send(end=False)
    stage.decide(Outcome.DENY)
    assert (stage.party.status, stage.party.ended) == (403, "closed")


# What must not be in a body, and what does not fit.


@pytest.mark.parametrize("state", ["before", "asked", "forwarding", "relaying"])
def test_the_agents_token_in_a_body_stops_the_request(state: str) -> None:
    """Refused while that is possible, cut afterwards; the piece that holds it is never forwarded."""
    stage = Stage(a_post())
    if state != "before":
        stage.send(b"x", end=False)
    link = None
    if state in ("forwarding", "relaying"):
        stage.decide(Outcome.ALLOW)
        link = stage.connect()
    if state == "relaying":
        stage.answer(200, [], b"early", end=False)
    stage.exchange.body(b"key=" + TOKEN.encode())
    if state == "before":
        stage.exchange.start()
    if state == "relaying":
        assert stage.party.ended == "aborted"
    else:
        assert (stage.party.status, code(stage), stage.party.ended) == (400, "token_misplaced", "closed")
    assert link is None or (TOKEN.encode() not in link.sent and link.ended == "aborted")
    assert TOKEN.encode() not in stage.recorder.everything()
    assert stage.spool.used == 0
    assert stage.decider.cancelled == ([stage.decider.asks[0].call_id] if state == "asked" else [])


def test_bodies_that_wait_share_the_spool() -> None:
    """What does not fit is a 503, and all that the request held is given back."""
    stage = Stage(a_post(), spool_bytes=100)
    stage.spool.take(60)
    stage.send(b"x" * 40, end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=1000)
    stage.exchange.body(b"x")
    assert (stage.party.status, code(stage), stage.party.ended) == (503, "shim_unavailable", "closed")
    assert stage.spool.used == 60


# The upstream answers early.


def test_an_answer_that_comes_before_the_end_of_the_body_is_passed_on() -> None:
    """The rest of the body goes on up while it comes; both connections are kept if all of it came."""
    stage = Stage(a_post(9))
    stage.send(b"one", end=False)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    stage.answer(200, [], b"early ", end=False)
    assert stage.party.body == b"6\r\nearly \r\n"
    stage.exchange.body(b"twosix")
    stage.exchange.end()
    assert link.body == b"onetwosix"
    stage.exchange.answer_end()
    assert (stage.party.ended, link.ended) == ("closed", "released")
    assert stage.recorder.body(FrameKind.REQUEST) == b"onetwosix"


def test_an_answer_that_ends_before_the_body_ends_both_connections() -> None:
    """Where the next request would begin, nobody could say; the head says that it is the last."""
    stage = Stage(a_post(9))
    stage.send(b"one", end=False)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    stage.answer(413, [("content-length", "3")], b"too")
    assert stage.party.written == b"HTTP/1.1 413 Request Entity Too Large\r\n" + added() + (
        b"content-length: 3\r\nconnection: close\r\n\r\ntoo"
    )
    assert (stage.party.ended, link.ended) == ("closed", "aborted")
    stage.exchange.body(b"two")
    stage.exchange.end()
    assert link.body == b"one"
    # The head stands before the answer's; the mask may give the last of the body out only at the end.
    assert [kind for kind in stage.recorder.kinds if kind != "request_body"] == ["request", "response", "complete"]
    assert stage.recorder.body(FrameKind.REQUEST) == b"one"
    assert stage.spool.used == 0

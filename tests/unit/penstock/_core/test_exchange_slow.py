"""Transcripts of exchanges in which a side is slow: who is slowed down for it, and who is given up after which time."""

import json

from penstock._core.exchange import HELD_BYTES
from penstock._core.incoming import Incoming
from penstock._core.limits import Limits
from penstock._core.verdict import Outcome
from unit.penstock._core.fake_sides import FakeLink, Stage, a_request

LIMITS = Limits(body_timeout_s=60, answer_timeout_s=600)


def a_post() -> Incoming:
    """Returns a request with a body in chunks."""
    return a_request("POST", "/billing/v1/things", ("Transfer-Encoding", "chunked"))


def uploading() -> tuple[Stage, FakeLink]:
    """Returns a stage whose request goes up, and is not at its end."""
    stage = Stage(a_post(), limits=LIMITS)
    stage.send(b"x", end=False)
    stage.decide(Outcome.ALLOW)
    return stage, stage.connect()


def code(stage: Stage) -> str:
    """Returns the code of the refusal."""
    found: str = json.loads(stage.party.body)["code"]
    return found


def test_an_agent_is_slowed_down_while_its_body_waits() -> None:
    """No more than a bounded part of it is held before the verdict; then it goes on."""
    stage = Stage(a_post())
    stage.send(b"x" * HELD_BYTES, end=False)
    assert not stage.party.paused
    stage.exchange.body(b"x")
    assert stage.party.paused
    stage.decide(Outcome.ALLOW)
    assert stage.party.paused
    stage.connect()
    assert not stage.party.paused


def test_an_agent_whose_body_is_needed_is_not_slowed_down() -> None:
    """It could never be asked about."""
    stage = Stage(a_post())
    stage.send(b"x" * (HELD_BYTES + 1), end=False)
    assert stage.party.paused
    stage.decide(Outcome.NEED_BODY, need_body_max=1 << 20)
    assert not stage.party.paused
    stage.exchange.body(b"x" * HELD_BYTES)
    assert not stage.party.paused


def test_an_agent_is_slowed_down_while_the_upstream_is_slow() -> None:
    """And let go when it has caught up."""
    stage, _ = uploading()
    stage.exchange.link_slow(True)
    assert stage.party.paused
    stage.exchange.link_slow(False)
    assert not stage.party.paused


def test_an_upstream_is_slowed_down_while_the_agent_is_slow() -> None:
    """And let go when it has caught up."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    stage.answer(200, [], b"x", end=False)
    stage.exchange.agent_slow(True)
    assert link.paused
    stage.exchange.agent_slow(False)
    assert not link.paused


def test_an_upstream_is_slowed_down_if_the_agent_has_not_read_the_answer_before() -> None:
    """A connection that opens while the agent is slow is paused at once, or pipelined answers would fill the memory."""
    stage = Stage()
    stage.exchange.agent_slow(True)
    stage.send(end=False)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    assert link.paused
    stage.exchange.agent_slow(False)
    assert not link.paused


def test_an_agent_that_is_slowed_down_is_not_blamed_for_it() -> None:
    """While the upstream does not take its body, no 408 is its due; once it may go on, it has its time again."""
    stage, _ = uploading()
    stage.exchange.body(b"y" * 100_000)
    stage.exchange.link_slow(True)
    stage.pass_time(61)
    assert not stage.party.ended
    stage.exchange.link_slow(False)
    stage.pass_time(59)
    assert not stage.party.ended
    stage.pass_time(1)
    assert (stage.party.status, code(stage)) == (408, "request_timeout")


def test_an_upstream_that_never_takes_the_body_is_a_504() -> None:
    """It has as long for that as for its answer."""
    stage, _ = uploading()
    stage.exchange.link_slow(True)
    stage.pass_time(599)
    assert not stage.party.ended
    stage.pass_time(1)
    assert (stage.party.status, code(stage)) == (504, "upstream_timeout")


def test_a_body_that_stops_while_it_goes_up_is_given_up() -> None:
    """Each piece gives it more time; the upstream then never sees an end, and the agent reads a 408."""
    stage, link = uploading()
    stage.pass_time(59)
    stage.exchange.body(b"y")
    stage.pass_time(59)
    assert not stage.party.ended
    stage.pass_time(1)
    assert (stage.party.status, code(stage), stage.party.ended) == (408, "request_timeout", "closed")
    assert link.ended == "aborted" and not link.sent.endswith(b"0\r\n\r\n")


def test_an_upload_may_take_longer_than_an_answer() -> None:
    """The time for the answer begins with the end of the body."""
    stage, _ = uploading()
    for _ in range(20):
        stage.pass_time(50)
        stage.exchange.body(b"y")
    stage.exchange.end()
    stage.pass_time(599)
    assert not stage.party.ended
    stage.pass_time(1)
    assert stage.party.status == 504

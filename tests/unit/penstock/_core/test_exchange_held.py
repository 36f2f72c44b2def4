"""Transcripts of exchanges that wait for a person: they go on, they are refused, and never denied by waiting."""

import json

import pytest

from penstock._core.exchange import HELD_BYTES, State
from penstock._core.limits import Limits
from penstock._core.verdict import FrameKind, Outcome, Verdict
from unit.penstock._core.fake_sides import Stage, a_request


def held(hold_ms: int = 60_000, limits: Limits | None = None) -> Stage:
    """Returns a stage whose request is held."""
    stage = Stage(a_request("POST", "/billing/v1/refunds", ("Content-Length", "6")), limits=limits)
    stage.send(b"refund")
    stage.decide(
        Outcome.PENDING, hold_ms=hold_ms, approval="apr_1", rule="ask", reason="people look", decision_id="dec_1"
    )
    return stage


def test_a_granted_request_goes_on() -> None:
    """Nothing is written meanwhile, nothing is forwarded, and what is forwarded then is what was asked about."""
    stage = held()
    assert stage.exchange.state is State.HELD
    stage.pass_time(59.9)
    assert stage.log == ["service: asked whole"]
    stage.decide(Outcome.ALLOW, approval="apr_1")
    link = stage.connect()
    assert link.body == b"refund"
    stage.answer(201, [("content-length", "0")])
    assert stage.log[1:] == ["upstream: open", "agent: HTTP/1.1 201 Created", "upstream: released", "agent: kept"]
    assert stage.recorder.kinds == ["request", "response", "complete"]
    assert stage.decider.cancelled == []


def test_a_request_that_a_person_denies_is_denied() -> None:
    """With the reason that the service gives."""
    stage = held()
    stage.decide(Outcome.DENY, code="approval_denied", reason="not this one", approval="apr_1")
    assert stage.party.status == 403
    assert json.loads(stage.party.body)["code"] == "approval_denied"
    assert stage.log[1:] == ["agent: HTTP/1.1 403 Forbidden", "agent: kept"]
    assert stage.recorder.kinds == ["request", "refused"]


def test_a_hold_that_is_over_is_a_refusal_that_names_the_approval() -> None:
    """Never a denial: the same request may be sent again; the service is told that nobody waits any more."""
    stage = held(hold_ms=60_000)
    stage.pass_time(60)
    assert stage.log[1:] == ["service: cancelled", "agent: HTTP/1.1 403 Forbidden", "agent: kept"]
    problem = json.loads(stage.party.body)
    assert (problem["code"], problem["approval"], problem["decision"]) == ("approval_pending", "apr_1", "dec_1")
    assert problem["detail"].startswith("people look (apr_1 is pending")
    assert b"\r\nretry-after: 30\r\n" in stage.party.written
    assert stage.recorder.kinds == ["request", "refused"]
    assert stage.recorder.body(FrameKind.REQUEST) == b"refund"
    stage.decide(Outcome.ALLOW)
    assert stage.links.wanted == []


@pytest.mark.parametrize(("hold_ms", "limit_s", "held_s"), [(10_000, 300, 10), (600_000, 300, 300), (500, 300, 0.5)])
def test_the_shim_bounds_every_hold(hold_ms: int, limit_s: float, held_s: float) -> None:
    """The shorter one of what the rule says and of its own limit counts."""
    stage = held(hold_ms, Limits(max_hold_s=limit_s))
    stage.pass_time(held_s - 0.1)
    assert not stage.party.ended
    stage.pass_time(0.1)
    assert stage.party.status == 403


@pytest.mark.parametrize("hold_ms", [0, -1])
def test_a_rule_without_a_hold_answers_at_once(hold_ms: int) -> None:
    """And nobody waits."""
    stage = held(hold_ms)
    assert stage.log[1:] == ["service: cancelled", "agent: HTTP/1.1 403 Forbidden", "agent: kept"]
    assert json.loads(stage.party.body)["code"] == "approval_pending"


def test_an_agent_that_leaves_withdraws_its_request() -> None:
    """A grant that comes later is not spent on it."""
    stage = held()
    stage.exchange.gone()
    assert stage.log[1:] == ["service: cancelled"]
    stage.exchange.verdict(Verdict(stage.decider.asks[0].call_id, Outcome.ALLOW))
    assert stage.links.wanted == []


def test_a_service_that_is_lost_while_a_person_decides_ends_the_hold() -> None:
    """No answer is no: 503, not a denial."""
    stage = held()
    stage.decide(Outcome.UNAVAILABLE)
    assert stage.party.status == 503
    assert stage.recorder.kinds == ["request", "refused"]


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.NEED_BODY])
def test_an_answer_that_does_not_fit_ends_the_hold(outcome: Outcome) -> None:
    """A held request is allowed or refused, and neither held again nor read."""
    stage = held()
    stage.decide(outcome, hold_ms=1000, need_body_max=1000)
    assert stage.party.status == 503
    assert stage.links.wanted == []


def test_a_body_that_still_comes_waits_with_its_request() -> None:
    """Bounded; and goes up after the grant."""
    stage = Stage(a_request("POST", "/billing/v1/x", ("Transfer-Encoding", "chunked")))
    stage.send(b"x", end=False)
    stage.decide(Outcome.PENDING, hold_ms=60_000, approval="apr_1")
    stage.exchange.body(b"y" * HELD_BYTES)
    assert stage.party.paused
    stage.decide(Outcome.ALLOW, approval="apr_1")
    link = stage.connect()
    assert not stage.party.paused and link.body.endswith(b"y\r\n")


def test_a_hold_may_follow_a_body_that_was_needed() -> None:
    """Three answers to two questions under one call id."""
    stage = Stage(a_request("POST", "/billing/v1/x", ("Content-Length", "4")))
    stage.send(b"ab", end=False)
    stage.decide(Outcome.NEED_BODY, need_body_max=10)
    stage.send(b"cd")
    stage.decide(Outcome.PENDING, hold_ms=60_000, approval="apr_1")
    stage.decide(Outcome.ALLOW, approval="apr_1")
    assert stage.connect().body == b"abcd"
    assert {ask.call_id for ask in stage.decider.asks} == {"c0" * 16}

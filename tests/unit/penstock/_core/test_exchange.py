"""Transcripts of exchanges: who is told what, in which order, and what is recorded of it."""

import json
from types import FunctionType
from typing import ClassVar

import pytest

from penstock._core.describe import BodyState
from penstock._core.exchange import NEXT, Exchange, State
from penstock._core.refusal import Refusal
from penstock._core.verdict import Frame, FrameKind, MaskSpec, Outcome, Verdict
from unit.penstock._core.fake_sides import CREDENTIAL, KNOWN, TOKEN, FakeLink, Stage, a_request, added, an_upstream

LENGTH = ("content-length", "2")


def allowed(stage: Stage, *, reused: bool = False, **verdict: object) -> FakeLink:
    """Plays a request without a body up to its connection."""
    stage.send(end=False)
    stage.decide(Outcome.ALLOW, **verdict)
    return stage.connect(reused=reused)


def test_an_allowed_request_goes_up_and_its_answer_comes_down() -> None:
    """Nothing is sent before the verdict; both connections are kept; request, answer and end are recorded."""
    stage = Stage()
    stage.send(end=False)
    assert stage.log == ["service: asked none"]
    stage.decide(Outcome.ALLOW, credential=CREDENTIAL, credential_hosts=("billing.example",))
    assert stage.log == ["service: asked none", "upstream: open"]
    link = stage.connect()
    assert stage.exchange.state is State.FORWARDING
    stage.answer(200, [("content-type", "text/plain"), LENGTH], b"ok")
    assert stage.log[2:] == ["agent: HTTP/1.1 200 OK", "upstream: released", "agent: kept"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + added()
    assert stage.party.written == head + b"content-length: 2\r\n\r\nok"
    assert link.sent == (
        b"GET /v1/things HTTP/1.1\r\nhost: billing.example\r\naccept-encoding: identity\r\n"
        b"via: 1.1 penstock\r\nx-api-key: " + CREDENTIAL[1] + b"\r\n\r\n"
    )
    assert stage.recorder.kinds == ["request", "response", "complete"]
    assert {frame.call_id for frame in stage.recorder.frames} == {stage.decider.asks[0].call_id}
    assert CREDENTIAL[1] not in stage.recorder.everything() and TOKEN.encode() not in stage.recorder.everything()
    assert stage.exchange.state is State.DONE and stage.exchange.deadline == 0


def test_the_question_is_the_request() -> None:
    """With the agent's token beside it, its label, and that it can wait."""
    stage = Stage(a_request("DELETE", "/billing/v1/x?y", ("X-Penstock-Session", "job 7"), ("X-Role", "a")))
    stage.send(end=False)
    ask = stage.decider.asks[0]
    assert (ask.call_id, ask.token, ask.session, ask.can_hold) == ("c0" * 16, TOKEN, "job 7", True)
    assert ask.action == stage.request.action(BodyState.NONE)


def test_a_denied_request_goes_nowhere() -> None:
    """The agent reads rule and reason; the connection is kept; request and refusal are recorded."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.DENY, code="rule_denied", rule="no-reads", reason="not now", decision_id="dec_1")
    assert stage.log == ["service: asked none", "agent: HTTP/1.1 403 Forbidden", "agent: kept"]
    assert json.loads(stage.party.body) == {
        "title": "Forbidden",
        "status": 403,
        "code": "rule_denied",
        "detail": "not now",
        "rule": "no-reads",
        "decision": "dec_1",
    }
    assert stage.recorder.kinds == ["request", "refused"]
    assert stage.recorder.frames[0].start == "GET /v1/things"
    assert stage.decider.cancelled == []


def test_a_denial_is_written_in_the_upstreams_dialect() -> None:
    """And has no body where it answers HEAD."""
    for method in ("GET", "HEAD"):
        stage = Stage(a_request(method, upstream=an_upstream(dialect="anthropic")))
        stage.send(end=False)
        stage.decide(Outcome.DENY, rule="no-reads", reason="not now")
        assert b"\r\ncontent-type: application/json\r\n" in stage.party.written
        assert bool(stage.party.body) is (method == "GET")


def test_no_answer_is_no() -> None:
    """UNAVAILABLE is a 503, and nothing was forwarded."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.UNAVAILABLE, reason="The policy service did not answer.")
    assert stage.party.status == 503
    assert b"x-should-retry: false" in stage.party.written and b"retry-after: 5" in stage.party.written
    assert stage.log[1:] == ["agent: HTTP/1.1 503 Service Unavailable", "agent: kept"]
    assert stage.recorder.kinds == ["request", "refused"]


def test_a_verdict_that_comes_at_once_is_taken() -> None:
    """A decider may answer inside of the call."""
    stage = Stage()
    stage.decider.judge = lambda ask: Verdict(ask.call_id, Outcome.ALLOW)
    stage.send(end=False)
    assert stage.log == ["service: asked none", "upstream: open"]


def test_without_the_service_nothing_is_asked() -> None:
    """The refusal says so; nothing is recorded, as nothing could be decided."""
    stage = Stage()
    stage.decider.current = None
    stage.send(end=False)
    assert stage.log == ["agent: HTTP/1.1 503 Service Unavailable", "agent: kept"]
    assert json.loads(stage.party.body)["code"] == "service_unavailable"
    assert stage.recorder.frames == []


def test_what_cannot_be_recorded_is_not_asked() -> None:
    """A full recorder refuses requests before anything is decided."""
    stage = Stage()
    stage.recorder.is_ready = False
    stage.send(end=False)
    assert stage.log == ["agent: HTTP/1.1 503 Service Unavailable", "agent: kept"]
    assert json.loads(stage.party.body)["code"] == "recording_unavailable"
    assert stage.recorder.frames == []


def test_a_request_begins_once() -> None:
    """Further reads of the connection do not ask again."""
    stage = Stage()
    stage.send(end=False)
    stage.exchange.start()
    stage.decide(Outcome.ALLOW)
    stage.exchange.start()
    assert stage.log == ["service: asked none", "upstream: open"]


@pytest.mark.parametrize("hosts", [(), ("other.example",), ("billing.example:8080",), ("BILLING.EXAMPLE.",)])
def test_a_credential_goes_to_its_own_hosts_only(hosts: tuple[str, ...]) -> None:
    """A policy author cannot point it elsewhere; the shim checks what the service says."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.ALLOW, credential=CREDENTIAL, credential_hosts=hosts, decision_id="dec_1")
    assert stage.log == ["service: asked none", "agent: HTTP/1.1 403 Forbidden", "agent: kept"]
    assert json.loads(stage.party.body)["code"] == "secret_host_refused"
    assert CREDENTIAL[1] not in stage.party.written + stage.recorder.everything()
    assert stage.recorder.kinds == ["request", "refused"]


def test_hosts_without_a_credential_change_nothing() -> None:
    """There is nothing to keep from anybody."""
    link = allowed(Stage(), credential_hosts=("other.example",))
    assert link.sent.startswith(b"GET /v1/things")


def test_the_masks_of_the_verdict_are_applied() -> None:
    """Under its key, to the agent's copy and to the recorded one."""
    stage = Stage()
    allowed(stage, masks=MaskSpec(detectors=frozenset({"email"})))
    stage.answer(200, [("content-type", "text/plain"), ("content-length", "15")], b"ada@example.com")
    assert stage.party.body.startswith(b"\xc2\xabemail:")
    assert stage.recorder.body(FrameKind.RESPONSE) == stage.party.body
    assert stage.recorder.frames[-1].masked == {"email": 1}


def test_known_values_are_masked_whatever_the_verdict_says() -> None:
    """They come with the configuration."""
    stage = Stage(a_request(upstream=an_upstream(known=(KNOWN,))))
    allowed(stage)
    stage.answer(200, [("content-type", "text/plain"), ("content-length", str(len(KNOWN.value)))], KNOWN.value)
    assert stage.party.body.startswith(b"\xc2\xabbilling-key:")


def test_an_http_1_0_agent_gets_one_answer() -> None:
    """And the end of its connection."""
    stage = Stage(a_request(version="1.0"))
    allowed(stage)
    stage.answer(200, [], b"ok")
    assert stage.party.written == b"HTTP/1.1 200 OK\r\n" + added() + b"connection: close\r\n\r\nok"
    assert stage.party.ended == "closed"


def test_a_request_that_cannot_be_read_further_is_refused_in_its_turn() -> None:
    """Before its turn nothing is written, as the answer to the request before it comes first."""
    stage = Stage(a_request("POST", "/billing/x", ("Transfer-Encoding", "chunked")))
    stage.exchange.body(b"abc")
    stage.exchange.broken(Refusal(400, "bad_request", "no chunk"))
    stage.exchange.broken(Refusal(400, "other", "later"))
    stage.exchange.body(b"more")
    assert stage.log == []
    stage.exchange.start()
    assert stage.log == ["agent: HTTP/1.1 400 Bad Request", "agent: closed"]
    assert json.loads(stage.party.body)["code"] == "bad_request"
    assert stage.spool.used == 0


# The agent leaves.


def test_an_agent_that_leaves_withdraws_its_question() -> None:
    """No verdict is delivered after that, and nothing is forwarded."""
    stage = Stage()
    stage.send(end=False)
    stage.exchange.gone()
    assert stage.log == ["service: asked none", "service: cancelled"]
    stage.decide(Outcome.ALLOW)
    assert stage.log == ["service: asked none", "service: cancelled"]


def test_an_agent_that_leaves_before_its_turn_is_forgotten() -> None:
    """Nothing was asked."""
    stage = Stage()
    stage.exchange.gone()
    stage.exchange.gone()
    stage.exchange.start()
    assert (stage.log, stage.recorder.frames) == ([], [])


def test_an_agent_that_leaves_while_the_connection_is_made_never_reaches_the_upstream() -> None:
    """The connection that comes then is broken, and the request is recorded as given up."""
    stage = Stage()
    stage.send(end=False)
    stage.decide(Outcome.ALLOW)
    stage.exchange.gone()
    link = stage.connect()
    assert (link.sent, link.ended) == (b"", "aborted")
    assert stage.recorder.kinds == ["request", "aborted_by_client"]


@pytest.mark.parametrize("begun", [False, True])
def test_an_agent_that_leaves_breaks_the_upstreams_connection(begun: bool) -> None:
    """Otherwise models would go on writing for nobody."""
    stage = Stage()
    link = allowed(stage)
    if begun:
        stage.answer(200, [], b"half", end=False)
    stage.exchange.gone()
    assert link.ended == "aborted"
    assert stage.recorder.kinds == ["request", *(["response"] if begun else []), "aborted_by_client"]


# The machine.


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_the_transitions_of_the_table_are_possible(before: State, after: State) -> None:
    """Anything else is a programming error that stops at once."""
    exchange = Stage().exchange
    exchange.state = before
    if after in NEXT[before]:
        exchange._go(after)
        assert exchange.state is after
    else:
        with pytest.raises(AssertionError, match=f"{before} -> {after}"):
            exchange._go(after)
        assert exchange.state is before


def test_every_state_ends_in_done_and_done_ends() -> None:
    """From each there is the direct way: refused, aborted, or the agent has gone."""
    assert NEXT.keys() == set(State)
    assert {state for state in State if State.DONE not in NEXT[state]} == {State.DONE}
    assert NEXT[State.DONE] == frozenset()


def _tour(stage: Stage, *steps: str) -> None:
    """Plays steps by name."""
    for step in steps:
        match step:
            case "start":
                stage.send(end=False)
            case "rest":
                stage.send(b"rest")
            case "open":
                stage.connect(reused=True)
            case "lost":
                stage.exchange.link_lost()
            case "gone":
                stage.exchange.gone()
            case "answer":
                stage.answer(200, [], b"x", end=False)
            case "end":
                stage.exchange.answer_end()
            case _:
                stage.decide(Outcome(step), need_body_max=100, hold_ms=1000)


class Watched(Exchange):
    """Remembers which transitions all of its kind made."""

    seen: ClassVar[set[tuple[State, State]]] = set()

    def _go(self, state: State) -> None:
        self.seen.add((self.state, state))
        super()._go(state)


@pytest.mark.skipif(
    not isinstance(vars(Exchange)["_go"], FunctionType), reason="a compiled class cannot be watched; make test does it"
)
def test_every_row_of_the_table_happens() -> None:
    """No transition is there that no transcript makes."""
    post = a_request("POST", "/billing/x", ("Content-Length", "4"))
    for request, steps in [
        (None, "gone"),
        (None, "start deny"),
        (None, "start allow gone"),
        (None, "start allow open lost open gone"),
        (None, "start allow open answer end"),
        (None, "start pending allow open"),
        (None, "start pending gone"),
        (post, "start need_body rest allow open"),
        (post, "start need_body gone"),
    ]:
        stage = Stage(request)
        stage.exchange = Watched(stage.env, stage.party, stage.request)
        _tour(stage, *steps.split())
    assert Watched.seen == {(before, after) for before in State for after in NEXT[before]}


def test_an_answer_whose_record_fails_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent does not wait for ever, and nothing stays held."""
    stage = Stage()
    stage.send(end=False)
    put, calls = stage.recorder.put, iter(range(1, 99))

    def fail(frame: Frame) -> None:
        if next(calls) == 2:
            raise RuntimeError
        put(frame)

    monkeypatch.setattr(stage.recorder, "put", fail)
    stage.decide(Outcome.ALLOW)
    link = stage.connect()
    with pytest.raises(RuntimeError):
        stage.answer(200, [("content-type", "text/plain"), LENGTH], b"ok")
    assert stage.party.ended == "aborted"
    assert stage.exchange.state is State.DONE
    assert link.ended and stage.spool.used == 0

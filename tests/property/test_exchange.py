"""Properties of an exchange: whatever happens in whatever order, nothing goes up before an ALLOW, and all is let go."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.exchange import State
from penstock._core.incoming import Incoming
from penstock._core.refusal import Refusal
from penstock._core.verdict import MaskSpec, Outcome
from unit.penstock._core.fake_sides import CREDENTIAL, KNOWN, FakeLink, Stage, a_request, an_upstream

BODY = b"0123456789" * 3000
OUTCOMES = [f"verdict {outcome.value}" for outcome in Outcome]
EVENTS = """piece end broken gone slow fast link_slow link_fast late open_failed lost head json answer answer_end
flush tick start"""
ONWARD = {
    State.READING: "start",
    State.ASKED: "verdict allow",
    State.COLLECTING: "piece",
    State.HELD: "verdict allow",
    State.OPENING: "opened",
    State.FORWARDING: "head",
    State.RELAYING: "answer",
    State.DONE: "gone",
}
"""What brings an exchange further, so that random events meet it in every state."""
ASIDE = ["verdict need_body", "verdict pending"]
STEPS = st.sampled_from(["onward", "onward", "onward", *ASIDE]) | st.sampled_from([*EVENTS.split(), *OUTCOMES])
SPECS = [MaskSpec(), MaskSpec(detectors=frozenset({"email"})), MaskSpec(json=frozenset({"/name"}))]


def requests() -> st.SearchStrategy[Incoming]:
    """Returns requests of several methods, without a body or with one of a known or unknown length."""

    def build(method: str, framing: str, expect: bool, version: str) -> Incoming:
        headers = [("Expect", "100-continue")] if expect else []
        if framing == "length":
            headers.append(("Content-Length", str(len(BODY))))
        elif framing == "chunked" and version == "1.1":
            headers.append(("Transfer-Encoding", "chunked"))
        return a_request(method, "/billing/x", *headers, upstream=an_upstream(known=(KNOWN,)), version=version)

    framings = st.sampled_from(["none", "length", "chunked"])
    return st.builds(
        build, st.sampled_from(["GET", "HEAD", "POST"]), framings, st.booleans(), st.sampled_from(["1.1", "1.0"])
    )


class Play:
    """Plays events as far as the sides could make them now, and checks after each what must always hold."""

    def __init__(self, request: Incoming, spec: MaskSpec) -> None:
        self.stage = Stage(request, spool_bytes=25_000)
        self.spec = spec
        self.link: FakeLink | None = None
        self.opened = 0
        self.received = 0
        self.all_came = request.length == 0
        self.allowed = False
        self.gone = False

    def play(self, event: str) -> None:
        """Plays one event."""
        stage, exchange = self.stage, self.stage.exchange
        link = self.link if self.link is not None and not self.link.ended else None
        match (ONWARD[exchange.state] if event == "onward" else event).split():
            case ["piece"] if not self.all_came and not self.gone:
                piece = BODY[self.received : self.received + 4000]
                self.received += len(piece)
                exchange.body(piece)
                if self.received == len(BODY):
                    self._end()
            case ["end"] if not self.all_came and not self.gone and stage.request.length < 0:
                self._end()
            case ["broken"] if not self.all_came and not self.gone:
                exchange.broken(Refusal(400, "bad_request", "x"))
            case ["start"] if not self.gone:
                exchange.start()
            case ["gone"]:
                self.gone = True
                exchange.gone()
            case ["slow" | "fast"] if not self.gone:
                exchange.agent_slow(event == "slow")
            case ["verdict", outcome] if stage.decider.waiting:
                self.allowed |= outcome == "allow"
                hosts = ("billing.example",)
                stage.decide(
                    Outcome(outcome),
                    credential=CREDENTIAL,
                    credential_hosts=hosts,
                    masks=self.spec,
                    hold_ms=5000,
                    need_body_max=20_000,
                )
            case ["opened"] if self.opened < len(stage.links.wanted):
                self.opened += 1
                self.link = stage.connect(reused=self.opened == 1)
            case ["open_failed"] if self.opened < len(stage.links.wanted):
                self.opened += 1
                exchange.open_failed("upstream_unreachable", "x")
            case ["lost"] if link is not None:
                link.ended = "broke"
                exchange.link_lost()
            case ["link_slow" | "link_fast"] if link is not None:
                exchange.link_slow(event == "link_slow")
            case ["head"] if link is not None:
                stage.answer(200, [("content-type", "text/plain")], end=False)
            case ["json"] if link is not None:
                stage.answer(200, [("content-type", "application/json"), ("content-length", "999")], end=False)
            case ["answer"] if link is not None:
                exchange.answer_body(b'{"a": "ada@example.com, ' + KNOWN.value + b'"} ')
            case ["answer_end"] if link is not None:
                exchange.answer_end()
            case ["flush"]:
                exchange.answer_flush()
            case ["tick"]:
                stage.pass_time(2)
            case ["late"]:
                stage.pass_time(1000)
        self.check()

    def _end(self) -> None:
        self.all_came = True
        self.stage.exchange.end()

    def check(self) -> None:
        """Checks what holds at any moment."""
        stage = self.stage
        links = stage.links.wanted
        assert self.allowed or not links
        assert len(links) <= (2 if stage.request.method in ("GET", "HEAD") else 1)
        if self.link is not None and self.link.sent:
            assert self.link.head.startswith(f"{stage.request.method} /x HTTP/1.1\r\n".encode())
        assert CREDENTIAL[1] not in stage.party.written + stage.recorder.everything()
        assert KNOWN.value not in stage.party.written + stage.recorder.everything()
        ends = [frame for frame in stage.recorder.frames if frame.outcome]
        if stage.exchange.state is State.DONE:
            assert self.gone or stage.party.ended
            assert stage.spool.used == 0
            assert self.link is None or self.link.ended
            assert not stage.decider.waiting
            assert len(ends) == bool(stage.recorder.frames)
            assert stage.exchange.deadline == 0
        else:
            assert not stage.party.ended and not ends


@settings(max_examples=400, deadline=None)
@given(requests(), st.sampled_from(SPECS), st.lists(STEPS, min_size=8, max_size=30))
def test_whatever_happens_an_exchange_keeps_its_promises(request: Incoming, spec: MaskSpec, events: list[str]) -> None:
    """No event in no order raises, forwards without an ALLOW, leaks a secret, or leaves something behind."""
    play = Play(request, spec)
    for event in events:
        play.play(event)
    play.play("gone")
    assert play.stage.exchange.state is State.DONE


@settings(max_examples=200, deadline=None)
@given(
    requests().filter(lambda request: request.length != 0),
    st.sampled_from(["verdict allow", "verdict need_body", "verdict pending"]),
    st.lists(st.sampled_from(["piece", "piece", "piece", "verdict", "opened", "end"]), min_size=6, max_size=40),
)
def test_what_goes_up_is_what_came(request: Incoming, first: str, events: list[str]) -> None:
    """The body that the upstream has is the body that came, byte for byte, whenever the pieces and verdicts came."""
    play = Play(request, MaskSpec())
    play.play("start")
    verdicts = iter([first])
    for event in events:
        play.play(next(verdicts, "verdict allow") if event == "verdict" else event)
    link = play.link
    if link is None or play.stage.exchange.state is not State.FORWARDING:
        return
    body = link.body
    if b"transfer-encoding: chunked" in link.head:
        came = b""
        while body and not body.startswith(b"0\r\n"):
            size, _, rest = body.partition(b"\r\n")
            came += rest[: int(size, 16)]
            body = rest[int(size, 16) + 2 :]
        assert (body == b"0\r\n\r\n") is play.all_came
    else:
        came = body
    assert came == BODY[: play.received]

"""Properties of an upstream's connection: no bytes crash it, and the agent gets one whole answer or a visible break."""

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.verdict import MaskSpec, Outcome
from penstock.http.upstream_side import UpstreamConnection
from property.fuzzed_connection import cut, logging_nothing
from unit.penstock._core.fake_sides import KEY, KNOWN, Stage, a_request, an_upstream
from unit.penstock.http.fake_transport import FakeTransport
from unit.penstock.http.test_upstream_side import Upstream

STATUS = st.sampled_from(b"200 200 200 404 204 304 206 100 103 101 302 999 20 0".split())
LINES = st.sampled_from(
    [
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Type: text/plain\r\n",
        b"Content-Type: application/json\r\n",
        b"Content-Type: text/event-stream\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Date: now\r\n",
        b"Via: 1.1 a\r\n",
        b"X: " + KNOWN.value + b"\r\n",
        b"X: 1\n",
        b"X: 1\r\n 2\r\n",
        b"X\0: 1\r\n",
        b"",
    ]
)
BODIES = st.sampled_from(
    [
        b"",
        b"hello",
        b"hellomore",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x\r\nhello\r\n0\r\nX: 1\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"ffffffffffffffffff\r\n",
        b'3\r\n{"a\r\n4\r\n": 1\r\n1\r\n}\r\n0\r\n\r\n',
        b"2d\r\ndata: " + KNOWN.value + b"\n\n" + b"x" * 20 + b"\r\n0\r\n\r\n",
        KNOWN.value,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ]
)
PROPER = st.builds(
    lambda line, body, chunks: (
        b"HTTP/1.1 200 OK\r\n"
        + line
        + (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" if chunks else b"Content-Length: %d\r\n\r\n%b")
        % (len(body), body)
    ),
    st.sampled_from([b"Content-Type: text/plain\r\n", b"Content-Type: text/event-stream\r\n", b"Date: D\r\n"]),
    st.sampled_from([b"hello", b"x " + KNOWN.value + b" y", b"data: " + KNOWN.value + b"\n\n", b"ada@example.com"]),
    st.booleans(),
)
BROKEN = st.builds(
    lambda status, lines, end, body: b"".join([b"HTTP/1.1 ", status, b" x\r\n", *lines, end, body]),
    STATUS,
    st.lists(LINES, max_size=4),
    st.sampled_from([b"\r\n"] * 8 + [b"\n", b""]),
    BODIES,
)
STREAMS = PROPER | st.lists(BROKEN | PROPER, min_size=1, max_size=3).map(b"".join) | st.binary(max_size=200)
CUTS = st.lists(st.integers(1, 100), max_size=12)


@settings(max_examples=700, deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from([MaskSpec(), MaskSpec(detectors=frozenset({"email"}))]),
    st.booleans(),
    STREAMS,
    CUTS,
)
def test_an_agent_gets_one_whole_answer_or_a_break(
    method: str, spec: MaskSpec, known: bool, data: bytes, cuts: list[int]
) -> None:
    """Whatever an upstream sends, however it is cut: another parser finds one answer, and the secret is not in it."""
    stage = Stage(a_request(method, "/billing/x", upstream=an_upstream(known=(KNOWN,) if known else ())))
    stage.send()
    stage.decide(Outcome.ALLOW, masks=spec)
    connection = UpstreamConnection(Upstream().pool, KEY)
    transport = FakeTransport(connection)
    connection.take(stage.exchange)
    with logging_nothing("penstock.http.upstream_side"):
        stage.exchange.opened(connection, reused=False)
        for piece in cut(data, cuts):
            if piece and not transport.ended and transport.reading:
                transport.receive(piece)
        transport.lose()
    party = stage.party
    assert party.ended
    if known:
        assert KNOWN.value not in party.written
    if party.ended != "aborted":
        require_one_answer(method, party.written, closed=party.ended == "closed")


def require_one_answer(method: str, written: bytes, *, closed: bool) -> None:
    """Asserts that another parser finds exactly one answer, and its end."""
    agent = h11.Connection(h11.CLIENT)
    agent.send(h11.Request(method=method, target="/x", headers=[("host", "shim"), ("content-length", "0")]))
    agent.send(h11.EndOfMessage())
    agent.receive_data(written)
    if closed:
        agent.receive_data(b"")
    event = agent.next_event()
    assert isinstance(event, h11.Response), event
    while isinstance(event := agent.next_event(), h11.Data):
        pass
    assert isinstance(event, h11.EndOfMessage), event
    assert agent.trailing_data[0] == b"" and not event.headers

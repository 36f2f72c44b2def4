"""An agent's connection: which requests are read from its bytes, in which order they are answered, and when it ends."""

import itertools
import json
import re
from collections.abc import Callable

import pytest

from penstock._core.limits import Limits
from penstock._core.mounts import Mounts
from penstock._core.verdict import Ask, Outcome, ShimConfig, Verdict
from penstock.http.client_side import ClientConnection
from penstock.http.shim import Hub
from unit.penstock._core.fake_sides import KEY, FakeLink, Stage, a_config
from unit.penstock.http.fake_transport import FakeTransport

HOST = b"Host: shim\r\n"


def get(path: str = "/billing/x", *lines: bytes, method: str = "GET") -> bytes:
    """Returns the bytes of a request without a body."""
    return f"{method} {path} HTTP/1.1\r\n".encode() + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(path: str, body: bytes, *lines: bytes) -> bytes:
    """Returns the bytes of a request with a body."""
    return get(path, b"Content-Length: %d" % len(body), *lines, method="POST") + body


def allow(ask: Ask) -> Verdict:
    """Allows everything but paths under /no."""
    denied = ask.action.http.path.startswith("/no")
    return Verdict(ask.call_id, Outcome.DENY if denied else Outcome.ALLOW, reason="no", mask_key=KEY)


class Agent:
    """Is one agent's connection to a shim whose upstream the test plays."""

    def __init__(
        self,
        judge: Callable[[Ask], Verdict | None] | None = allow,
        limits: Limits | None = None,
        config: ShimConfig | None = None,
    ) -> None:
        self.stage = Stage(limits=limits)
        self.stage.decider.judge = judge
        self.hub = Hub(self.stage.env)
        self.hub.mounts = Mounts(config or a_config())
        self.connection = ClientConnection(self.hub)
        self.transport = FakeTransport(self.connection)
        self.opened = 0
        calls = itertools.count()
        self.stage.env.new_call_id = lambda: f"{next(calls):032x}"

    def send(self, *pieces: bytes) -> None:
        """Plays reads."""
        self.transport.receive(*pieces)

    def connect(self) -> FakeLink:
        """Opens the upstream connection of the next exchange that wants one."""
        link = FakeLink(self.stage.log)
        taker = self.stage.links.wanted[self.opened][1]
        self.opened += 1
        taker.opened(link, reused=False)
        return link

    def serve(self, body: bytes = b"ok") -> FakeLink:
        """Answers the next exchange that wants a connection."""
        taker = self.stage.links.wanted[self.opened][1]
        link = self.connect()
        taker.answer_head(200, [(b"content-length", b"%d" % len(body))])
        taker.answer_body(body)
        taker.answer_end()
        taker.answer_flush()
        return link

    @property
    def paths(self) -> list[str]:
        """Returns the paths that were asked about."""
        return [ask.action.http.path for ask in self.stage.decider.asks]

    @property
    def answers(self) -> list[int]:
        """Returns the statuses of the answers, in their order."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.transport.written)]

    @property
    def code(self) -> str:
        """Returns the code of the last refusal."""
        found: str = json.loads(self.transport.written.rpartition(b"\r\n\r\n")[2])["code"]
        return found


# One request after the other.


def test_a_request_is_read_however_its_bytes_come() -> None:
    """At once, or byte by byte."""
    whole = post("/billing/v1//x?q", b"hello", b"X-A: 1")
    for pieces in ([whole], [whole[at : at + 1] for at in range(len(whole))]):
        agent = Agent()
        agent.send(*pieces)
        link = agent.serve()
        assert link.sent == (
            b"POST /v1/x?q HTTP/1.1\r\nhost: billing.example\r\nx-a: 1\r\n"
            b"accept-encoding: identity\r\nvia: 1.1 penstock\r\ncontent-length: 5\r\n\r\nhello"
        )
        assert agent.answers == [200] and agent.transport.ended == ""


def test_a_body_that_comes_with_its_head_is_asked_about_at_once() -> None:
    """The exchange begins after the whole read was parsed."""
    agent = Agent()
    agent.send(post("/billing/x", b"hello"))
    assert [ask.action.http.body for ask in agent.stage.decider.asks] == [b"hello"]


def test_a_connection_serves_many_requests() -> None:
    """Heads and bodies of one never reach the next."""
    agent = Agent()
    for index in range(5):
        agent.send(post(f"/billing/{index}", b"x" * index, b"X-%d: 1" % index))
        assert agent.serve().sent.count(b"x-") == 1
    assert agent.paths == [f"/{index}" for index in range(5)]
    assert agent.answers == [200] * 5


def test_pipelined_requests_are_answered_in_their_order() -> None:
    """The second one is not asked before the first one is answered."""
    agent = Agent()
    agent.send(get("/billing/1") + post("/billing/2", b"two") + get("/billing/3"))
    assert agent.paths == ["/1"]
    assert agent.serve().body == b""
    assert agent.paths == ["/1", "/2"]
    assert agent.serve().body == b"two"
    assert agent.serve().body == b""
    assert (agent.paths, agent.answers) == (["/1", "/2", "/3"], [200, 200, 200])


def test_a_request_after_a_denied_one_is_judged_for_itself() -> None:
    """A denial ends one request, and takes none of the next one's bytes."""
    agent = Agent()
    agent.send(get("/billing/1") + post("/billing/no", b"GET /billing/4 HTTP/1.1\r\n\r\n") + get("/billing/3"))
    agent.serve()
    assert agent.paths == ["/1", "/no", "/3"]
    agent.serve()
    assert agent.answers == [200, 403, 200]
    assert len(agent.stage.links.wanted) == 2


def test_a_refused_head_is_answered_in_its_turn() -> None:
    """An unknown upstream or method does not end the connection if the request came whole."""
    agent = Agent()
    agent.send(get("/billing/1") + get("/other") + get("/billing/3"))
    assert agent.answers == []
    agent.serve()
    agent.serve()
    assert agent.answers == [200, 404, 200]


def test_an_ambiguous_head_is_the_last_one() -> None:
    """What follows cannot be trusted to begin where it seems to: it is neither asked nor answered."""
    agent = Agent()
    agent.send(get("/billing/1") + get("/billing/..%2f2") + get("/billing/3"))
    agent.serve()
    assert (agent.paths, agent.answers) == (["/1"], [200, 400])
    assert b"connection: close\r\n" in agent.transport.written
    assert agent.transport.ended == "closed"


def test_a_refused_head_whose_body_has_not_come_ends_the_connection() -> None:
    """Its body must not be read as requests."""
    agent = Agent()
    agent.send(get("/other", b"Content-Length: 100", method="POST"))
    assert agent.answers == [404] and b"connection: close" in agent.transport.written
    assert agent.transport.wrote_eof
    agent.send(get("/billing/2"))
    assert agent.paths == []


def test_connect_is_refused_and_nothing_behind_it_is_read() -> None:
    """What follows would be the tunnel's."""
    agent = Agent()
    agent.send(b"CONNECT billing.example:443 HTTP/1.1\r\n" + HOST + b"\r\n" + get("/billing/2"))
    assert agent.paths == [] and agent.answers in ([400], [405])
    assert agent.transport.wrote_eof or agent.transport.ended == "closed"


def test_head_is_refused_without_a_body() -> None:
    """The length says what a GET would have got."""
    agent = Agent()
    agent.send(get("/other", method="HEAD"))
    assert agent.transport.written.endswith(b"\r\n\r\n")


# What is no request.


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /billing/x HTTP/1.1\nHost: shim\n\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-A: 1\r\n folded\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-A : 1\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost : shim\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\n Host: shim\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-A: a\rb\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-A: a\0b\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nno colon\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\n: no name\r\n\r\n",
        b"GET /billing/x y HTTP/1.1\r\nHost: shim\r\n\r\n",
        b"GET /billing/\xc3\xa9 HTTP/1.1\r\nHost: shim\r\n\r\n",
        b"GET /billing/x#y HTTP/1.1\r\nHost: shim\r\n\r\n",
        b"GET http://evil.example/billing/x HTTP/1.1\r\nHost: shim\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nHost: other\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-A: \xff\r\n\r\n",
        b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nX-Role: a\r\nX-Role: b\r\n\r\n",
        b"get /billing/x HTTP/1.1\r\nHost: shim\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nContent-Length: +1\r\n\r\nx",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nContent-Length: 1, 1\r\n\r\nx",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.0\r\nHost: shim\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_what_is_not_one_request_in_one_way_only_is_a_400(raw: bytes) -> None:
    """Nothing is asked, nothing is forwarded, nothing behind it is read, and the connection ends."""
    for pieces in ([raw + get("/billing/2")], [raw, b""], [raw[at : at + 1] for at in range(len(raw))]):
        agent = Agent()
        for piece in pieces:
            if piece and not agent.transport.ended:
                agent.send(piece)
        assert agent.paths == [] and agent.stage.links.wanted == []
        assert agent.answers == [400]
        assert b"connection: close\r\n" in agent.transport.written
        assert agent.transport.wrote_eof or agent.transport.ended == "closed"
        assert agent.stage.spool.used == 0


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"])
def test_another_version_is_a_505(version: bytes) -> None:
    """It may be framed in another way."""
    agent = Agent()
    agent.send(b"GET /billing/x " + version + b"\r\n" + HOST + b"\r\n")
    assert agent.answers == [505] and agent.paths == []


def test_broken_bytes_after_a_request_do_not_touch_its_answer() -> None:
    """They are refused in their turn."""
    agent = Agent()
    agent.send(get("/billing/1") + b"\0\0\0\0")
    assert agent.answers == []
    agent.serve()
    assert agent.answers == [200, 400]
    assert agent.transport.wrote_eof or agent.transport.ended == "closed"


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x1\r\na\r\n0\r\n\r\n",
        b"1\na\n0\n\n",
        b"1\r\nab\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"ffffffffffffffff1\r\na",
        b" 1\r\na\r\n0\r\n\r\n",
        b"1;a\nb\r\na\r\n0\r\n\r\n",
        b"\r\n1\r\na\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_body_that_is_not_chunks_is_never_forwarded(chunks: bytes, at_once: bool) -> None:
    """Whether it came with its head or while the service decides: a 400, and what is behind it is not read."""
    agent = Agent(judge=None)
    head = get("/billing/1", b"Transfer-Encoding: chunked", method="POST")
    if at_once:
        agent.send(head + chunks + get("/billing/2"))
        assert agent.paths == []
    else:
        agent.send(head, chunks + get("/billing/2"))
        assert len(agent.stage.decider.cancelled) == 1
    assert agent.answers == [400] and agent.stage.links.wanted == []
    assert agent.transport.wrote_eof and agent.stage.spool.used == 0


@pytest.mark.parametrize("asked", [False, True])
def test_a_body_that_breaks_is_refused(asked: bool) -> None:
    """While the service decides, or while it goes up: never is it ended cleanly."""
    agent = Agent(allow if asked else None)
    agent.send(get("/billing/1", b"Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
    link = agent.connect() if asked else None
    agent.send(b"oops\r\n")
    assert agent.answers == [400]
    assert link is None or (link.ended == "aborted" and not link.sent.endswith(b"0\r\n\r\n"))
    assert agent.transport.wrote_eof
    assert agent.stage.spool.used == 0


def test_a_body_that_breaks_does_not_touch_the_answer_before_it() -> None:
    """A pipelined request that is broken is refused in its turn; what is under way is answered."""
    agent = Agent()
    agent.send(get("/billing/1"))
    agent.send(get("/billing/2", b"Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\noops\r\n")
    assert agent.transport.ended == "" and agent.answers == []
    agent.serve()
    assert (agent.paths, agent.answers) == (["/1"], [200, 400])


def test_trailers_join_neither_head() -> None:
    """They go no further, and the next request is not affected."""
    agent = Agent()
    chunks = b"3\r\nabc\r\n0\r\nX-Role: admin\r\nHost: evil\r\n\r\n"
    agent.send(get("/billing/1", b"Transfer-Encoding: chunked", method="POST") + chunks + get("/billing/2"))
    assert b"x-role" not in agent.serve().sent
    assert b"x-role" not in agent.serve().sent
    assert agent.answers == [200, 200]


def test_chunk_extensions_go_no_further() -> None:
    """The body is framed anew."""
    agent = Agent()
    chunks = b'3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n'
    agent.send(get("/billing/1", b"Transfer-Encoding: chunked", method="POST") + chunks)
    assert agent.serve().body == b"abc"


def test_an_offer_to_upgrade_is_not_taken() -> None:
    """The request is answered as if it had not been made, and the next one is read."""
    agent = Agent()
    offer = get("/billing/1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    agent.send(offer + get("/billing/2"))
    assert b"upgrade" not in agent.serve().sent.lower()
    agent.serve()
    assert (agent.paths, agent.answers) == (["/1", "/2"], [200, 200])

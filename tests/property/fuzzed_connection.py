"""Plays any bytes at all to an agent's connection, and checks what must hold whatever they are.

Service and upstreams are played: everything but /admin is allowed, connections open at once, and every request that is
complete is answered. Used by the property test and by the fuzz target.
"""

import contextlib
import itertools
import logging
import re
from collections.abc import Iterable, Iterator

import h11

from penstock._core.describe import BodyState
from penstock._core.environment import Answered
from penstock._core.exchange import Exchange, State
from penstock._core.limits import Limits
from penstock._core.mounts import Route
from penstock._core.verdict import Ask, Outcome, Verdict
from penstock.http.client_side import ClientConnection
from penstock.http.shim import Hub
from unit.penstock._core.fake_sides import KEY, FakeLink, Stage, mounts
from unit.penstock.http.fake_transport import FakeTransport

__all__ = ["Request", "cut", "logging_nothing", "play", "requests_in", "require_found"]

Request = tuple[str, bytes]
"""Method and body."""

_LIMITS = Limits(max_head_bytes=4096, max_headers=20)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def judge(ask: Ask) -> Verdict | None:
    """Allows all but /admin; leaves /wait without an answer, and demands the body of /read."""
    http = ask.action.http
    if http.path.startswith("/wait"):
        return None
    if http.path.startswith("/read") and http.body_state is BodyState.WITHHELD:
        return Verdict(ask.call_id, Outcome.NEED_BODY, need_body_max=3000)
    denied = http.path.startswith("/admin")
    return Verdict(ask.call_id, Outcome.DENY if denied else Outcome.ALLOW, reason="no", mask_key=KEY)


class Upstreams:
    """Opens a link at once for whoever wants one, and remembers it with the question that it was allowed for."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.opened: list[tuple[FakeLink, Answered, Ask]] = []

    def open(self, route: Route, taker: Answered, *, fresh: bool = False) -> None:
        link = FakeLink(self._stage.log)
        self.opened.append((link, taker, self._stage.decider.asks[-1]))
        taker.opened(link, reused=False)

    def answer(self) -> bool:
        """Answers a request that is complete; returns whether there was one."""
        for link, taker, _ in self.opened:
            assert isinstance(taker, Exchange)
            if not link.ended and taker.state is State.FORWARDING and taker.request_complete:
                taker.answer_head(200, [(b"content-length", b"2")])
                if taker.method() != "HEAD":
                    taker.answer_body(b"ok")
                taker.answer_end()
                taker.answer_flush()
                return True
        return False


class _Errors(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def logging_nothing(module: str) -> Iterator[None]:
    """Asserts after the block that a connection's module logged nothing: it logs nothing but its own failures."""
    logger, errors = logging.getLogger(module), _Errors()
    logger.addHandler(errors)
    propagated, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagated
    assert not errors.records, errors.records[0].getMessage()


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Returns data in pieces of these sizes, and the rest."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def play(pieces: Iterable[bytes]) -> list[Request]:
    """Plays reads, then the agent's leaving; returns what went up whole. Raises AssertionError for what must not be."""
    stage = Stage(limits=_LIMITS)
    upstreams = stage.env.links = Upstreams(stage)
    stage.decider.judge = judge
    calls = itertools.count()
    stage.env.new_call_id = lambda: f"{next(calls):032x}"
    hub = Hub(stage.env)
    hub.mounts = mounts()
    with logging_nothing("penstock.http.client_side"):
        connection = ClientConnection(hub)
        transport = FakeTransport(connection)
        for piece in pieces:
            if transport.ended or not transport.reading:
                break
            if piece:
                transport.receive(piece)
            while upstreams.answer():
                pass
        transport.lose()
    assert stage.spool.used == 0 and not stage.decider.waiting and not hub.connections
    assert all(int(status) in range(100, 600) for status in _STATUS.findall(transport.written))
    return [request for link, _, ask in upstreams.opened if (request := _require_judged(link, ask)) is not None]


def _require_judged(link: FakeLink, ask: Ask) -> Request | None:
    """Returns what a link carried, None if it was not whole; asserts that it is what the question asked about."""
    assert link.ended
    http = ask.action.http
    assert not http.path.startswith("/admin")
    requests = requests_in(link.sent, whole=False)
    assert requests is not None and len(requests) <= 1, "more than one request went up"
    head = link.head.decode("latin-1").split("\r\n")
    query = f"?{http.query}" if http.query else ""
    assert head[0] == f"{http.method} {http.path}{query} HTTP/1.1"
    fields = [f"{name}: {value.decode('latin-1')}" for name, value in http.headers]
    assert head[1 : 3 + len(fields)] == [f"host: {http.authority}", *fields, head[2 + len(fields)]]
    assert head[2 + len(fields)] in ("via: 1.1 penstock", "via: 1.0 penstock")
    framing = head[3 + len(fields) : -2]
    assert len(framing) <= 1 and all(line.startswith(("content-length: ", "transfer-enc")) for line in framing)
    if not requests:
        return None
    if http.body_state is BodyState.WHOLE:
        assert requests[0][1] == http.body
    return requests[0]


def require_found(data: bytes, pieces: Iterable[bytes]) -> None:
    """Plays data in pieces; asserts that another parser, if it understands data, finds in it whatever went up."""
    went_up = play(pieces)
    found = requests_in(data)
    if found is not None:
        rest = iter(found)
        assert all(request in rest for request in went_up), "another parser finds no such request there"


def requests_in(data: bytes, *, whole: bool = True) -> list[Request] | None:
    """Returns the requests that another parser finds complete in data, None if it takes none of it for HTTP.

    whole: after them there must be nothing left that it does not understand, else that is None too.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    found: list[Request] = []
    try:
        connection.receive_data(data)
        while isinstance(event := connection.next_event(), h11.Request):
            body = b""
            while isinstance(piece := connection.next_event(), h11.Data):
                body += bytes(piece.data)
            if not isinstance(piece, h11.EndOfMessage):
                return found
            found.append((event.method.decode("latin-1"), body))
            if connection.our_state is h11.SEND_RESPONSE:
                connection.send(h11.Response(status_code=400, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return found
            connection.start_next_cycle()
    except h11.RemoteProtocolError:
        return None if whole else found
    return found

"""A connection to an upstream: what its bytes mean, when it may be used again, and what ends it."""

import ssl
from dataclasses import dataclass, field

import pytest

from penstock._core.environment import Link
from penstock._core.limits import Limits
from penstock.http.pool import Pool
from penstock.http.upstream_side import UpstreamConnection
from unit.penstock.http.fake_transport import FakeTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KEY = (False, "billing.example", 80, False)


@dataclass
class Taker:
    """Is the exchange that uses the connection. releases: gives the connection back at the end of the answer."""

    name: str = "GET"
    events: list[object] = field(default_factory=list)
    link: UpstreamConnection | None = None
    releases: bool = True
    flushes: int = 0
    http10: bool = False

    def opened(self, link: Link, *, reused: bool) -> None:
        self.events.append("reused" if reused else "opened")

    def open_failed(self, code: str, reason: str) -> None:
        self.events.append(code)

    def answer_head(self, status: int, headers: list[tuple[bytes, bytes]], *, http10: bool = False) -> None:
        self.http10 = http10
        self.events.append((status, headers))

    def answer_body(self, data: bytes) -> None:
        self.events.append(data)

    def answer_flush(self) -> None:
        self.flushes += 1

    def answer_end(self) -> None:
        self.events.append("end")
        if self.link is not None:
            (self.link.release if self.releases else self.link.abort)()

    def link_lost(self) -> None:
        self.events.append("lost")

    def link_slow(self, slow: bool) -> None:
        self.events.append("slow" if slow else "fast")

    def method(self) -> str:
        return self.name

    @property
    def body(self) -> bytes:
        """Returns all pieces of bodies."""
        return b"".join(each for each in self.events if isinstance(each, bytes))


class Upstream:
    """Is one connection of a pool, played by the test."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 100.0
        self.pool = Pool(limits or Limits(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda: self.now)
        self.connection = UpstreamConnection(self.pool, KEY)
        self.transport = FakeTransport(self.connection)

    def take(self, method: str = "GET", *, releases: bool = True) -> Taker:
        """Begins an exchange."""
        taker = Taker(method, link=self.connection, releases=releases)
        self.connection.take(taker)
        return taker

    @property
    def idle(self) -> bool:
        """Tells whether the connection is kept for another request."""
        return any(self.connection in kept for kept in self.pool._idle.values())


def chunks(*pieces: bytes) -> bytes:
    """Returns a whole chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_an_answer_is_read_however_its_bytes_come() -> None:
    """Head, body and end; then the connection is kept."""
    for pieces in ([OK], [OK[at : at + 1] for at in range(len(OK))]):
        upstream = Upstream()
        taker = upstream.take()
        upstream.transport.receive(*pieces)
        assert taker.events[0] == (200, [(b"Content-Length", b"2")])
        assert (taker.body, taker.events[-1], upstream.idle) == (b"ok", "end", True)
        assert taker.events.count("end") == 1


def test_the_pieces_of_one_read_are_flushed_once() -> None:
    """So that they can go out in one write."""
    upstream = Upstream()
    taker = upstream.take(releases=False)
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n")
    assert (taker.body, taker.flushes) == (b"ab", 1)


def test_chunks_end_with_their_last_one_and_trailers_go_no_further() -> None:
    """They join neither this head nor that of the next answer."""
    upstream = Upstream()
    taker = upstream.take()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    upstream.transport.receive(head + b"3;x=y\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert (taker.body, taker.events[-1], upstream.idle) == (b"abc", "end", True)
    again = upstream.take()
    upstream.transport.receive(OK)
    assert again.events[0] == (200, [(b"Content-Length", b"2")])


def test_a_connection_serves_many_exchanges() -> None:
    """Each has a parser of its own, also after answers to HEAD."""
    upstream = Upstream()
    for method in ("GET", "HEAD", "GET", "HEAD", "HEAD", "GET"):
        taker = upstream.take(method)
        upstream.transport.receive(OK if method == "GET" else OK[:-2])
        assert (taker.events[-1], upstream.idle) == ("end", True)
        upstream.pool._idle.clear()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_the_version_of_an_answer_is_told(version: bytes) -> None:
    """Via says it to the agent."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/%b 200 OK\r\nContent-Length: 0\r\n\r\n" % version)
    assert taker.http10 is (version == b"1.0")


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_to_head_ends_with_its_head(framing: bytes) -> None:
    """Whatever length it tells."""
    upstream = Upstream()
    taker = upstream.take("HEAD")
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
    assert taker.events[-1] == "end" and taker.body == b""


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_ends_with_its_head(status: bytes) -> None:
    """By its status."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    assert (taker.events[-1], upstream.idle) == ("end", True)


def test_interim_answers_are_not_passed_on() -> None:
    """Nor do their fields join those of the answer."""
    upstream = Upstream()
    taker = upstream.take()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    upstream.transport.receive(b"HTTP/1.1 100 Continue\r\n\r\n" + early, early + b"HTTP/1.1 204 No Content\r\n\r\n")
    assert taker.events == [(204, []), "end"]


def test_switching_protocols_is_a_break() -> None:
    """Nobody asked for it; what follows is not HTTP."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw")
    assert taker.events == ["lost"] and upstream.transport.ended == "aborted"


# When the connection ends.


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """If it ends in an orderly way."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\n\r\nall ", b"of it")
    upstream.transport.lose()
    assert (taker.body, taker.events[-1]) == (b"all of it", "end")
    assert not upstream.idle


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ],
)
def test_an_answer_that_is_cut_is_lost(received: bytes, error: Exception | None) -> None:
    """Also if the connection ends in an orderly way: it is short of what its head promised."""
    upstream = Upstream()
    taker = upstream.take()
    if received:
        upstream.transport.receive(received)
    upstream.transport.lose(error)
    assert taker.events[-1] == "lost" and "end" not in taker.events


def test_an_answer_without_a_length_that_is_reset_is_lost() -> None:
    """A reset is no orderly end."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    upstream.transport.lose(ConnectionResetError())
    assert taker.events[-1] == "lost"


def test_a_whole_answer_is_not_lost_with_its_connection() -> None:
    """The end has been told already."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(OK)
    upstream.transport.lose(ConnectionResetError())
    assert taker.events[-1] == "end" and not upstream.idle


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"HTTP/1.1 200 OK\r\nX: ",
        OK + b"H",
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_kept(answer: bytes) -> None:
    """The upstream closes it, or it has sent more than it was asked for: the next answer would begin somewhere else."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(answer)
    assert (taker.body, taker.events[-1], taker.events.count("end")) == (b"ok", "end", 1)
    assert not upstream.idle and upstream.transport.ended == "aborted"


@pytest.mark.parametrize("extra", [b"x", b"body", OK])
def test_a_body_behind_an_answer_to_head_ends_the_connection(extra: bytes) -> None:
    """It is not asked for; none of it is passed on."""
    upstream = Upstream()
    taker = upstream.take("HEAD")
    upstream.transport.receive(OK[:-2] + extra)
    assert (taker.events[-1], taker.body, upstream.idle) == ("end", b"", False)


def test_a_body_behind_a_204_ends_the_connection() -> None:
    """The same."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil")
    assert (taker.events[-1], taker.body, upstream.idle) == ("end", b"", False)


def test_what_comes_without_a_question_ends_the_connection() -> None:
    """An idle upstream has nothing to say."""
    upstream = Upstream()
    upstream.take()
    upstream.transport.receive(OK)
    assert upstream.idle
    upstream.transport.receive(OK)
    assert upstream.transport.ended == "aborted"
    upstream.transport.lose()
    assert not upstream.idle


def test_an_exchange_that_aborts_hears_nothing_more() -> None:
    """The connection is broken, and its end is nobody's."""
    upstream = Upstream()
    taker = upstream.take(releases=False)
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    upstream.connection.abort()
    events = list(taker.events)
    upstream.transport.lose()
    assert taker.events == events and upstream.transport.ended == "aborted"


# Against the protocol.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nX: 1\n\n",
        b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"220 smtp.example ready\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
def test_what_is_no_answer_breaks_the_connection(answer: bytes) -> None:
    """Nothing of it is passed on."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(answer)
    assert taker.events == ["lost"] and upstream.transport.ended == "aborted"


@pytest.mark.parametrize("body", [b"oops\r\n", b"1\r\nab\r\n", b"1\nab\n", b"-1\r\n"])
def test_chunks_that_are_none_break_an_answer_under_way(body: bytes) -> None:
    """It never looks complete."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + body)
    assert taker.events[-1] == "lost" and "end" not in taker.events


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 20_000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3000,
    ],
)
def test_a_head_that_does_not_end_is_cut(head: bytes) -> None:
    """Its size is bounded, as is that of all interim answers together."""
    upstream = Upstream(Limits(max_head_bytes=10_000))
    taker = upstream.take()
    for at in range(0, len(head), 1000):
        if not upstream.transport.ended:
            upstream.transport.receive(head[at : at + 1000])
    assert taker.events == ["lost"] and upstream.transport.ended == "aborted"


def test_too_many_fields_break_the_connection() -> None:
    """As for requests."""
    upstream = Upstream(Limits(max_headers=10))
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 10 + b"Content-Length: 0\r\n\r\n")
    assert taker.events == ["lost"]


@pytest.mark.parametrize("line", [b"X: 1\r\n", b"x"])
def test_trailers_are_bounded(line: bytes) -> None:
    """An endless line after the last chunk does not fill the memory."""
    upstream = Upstream(Limits(max_head_bytes=10_000))
    taker = upstream.take()
    upstream.transport.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
    for _ in range(200):
        if not upstream.transport.ended:
            upstream.transport.receive(line * 100)
    assert taker.events[-1] == "lost" and upstream.transport.ended == "aborted"


# Sending and slowing down.


def test_bytes_go_up_as_they_are() -> None:
    """Nothing is written for nothing, and nothing after the end."""
    upstream = Upstream()
    upstream.take()
    upstream.connection.send(b"GET / HTTP/1.1\r\n\r\n")
    upstream.connection.send(b"")
    assert (upstream.transport.written, upstream.transport.writes) == (b"GET / HTTP/1.1\r\n\r\n", 1)
    upstream.transport.lose()
    upstream.connection.send(b"late")
    assert upstream.transport.writes == 1


def test_a_slow_upstream_is_told_of() -> None:
    """And that it has caught up."""
    upstream = Upstream()
    taker = upstream.take()
    upstream.connection.pause_writing()
    upstream.connection.resume_writing()
    assert taker.events == ["slow", "fast"]


def test_an_answer_can_be_stopped_and_go_on() -> None:
    """Twice is no fault; a connection that is given back reads again."""
    upstream = Upstream()
    upstream.take()
    for _ in range(2):
        upstream.connection.pause()
    assert not upstream.transport.reading
    for _ in range(2):
        upstream.connection.resume()
    assert upstream.transport.reading
    upstream.transport.receive(OK[:-1])
    upstream.connection.pause()
    upstream.transport.reading = True  # this read was under way already
    upstream.transport.receive(OK[-1:])
    assert upstream.idle and upstream.transport.is_reading()

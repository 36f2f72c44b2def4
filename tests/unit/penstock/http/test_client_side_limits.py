"""An agent's connection: what it may cost, and when it is closed."""

import pytest

from penstock._core.limits import Limits
from penstock._core.verdict import Outcome
from penstock.http.client_side import LINGER_BYTES, LINGER_S, MAX_QUEUED, ClientConnection
from unit.penstock.http.fake_transport import FakeTransport
from unit.penstock.http.test_client_side import HOST, Agent, get, post

SMALL = Limits(max_head_bytes=1000, max_headers=10, head_timeout_s=15, idle_timeout_s=75)


def tick(agent: Agent, seconds: float) -> None:
    """Lets time pass, and looks at the deadlines as the shim does."""
    agent.stage.now += seconds
    agent.connection.tick(agent.stage.now)


# Heads.


@pytest.mark.parametrize(
    "head",
    [
        get("/billing/" + "x" * 1000),
        get("/billing/x", b"X-A: " + b"x" * 1000),
        get("/billing/x", *[b"X-%d: " % index + b"x" * 200 for index in range(6)]),
        get("/billing/x", *[b"X-%d: 1" % index for index in range(10)]),
    ],
)
@pytest.mark.parametrize("step", [1, 50, 10_000])
def test_a_head_that_is_too_large_is_a_431(head: bytes, step: int) -> None:
    """In one read or in many; nothing behind it is read."""
    agent = Agent(limits=SMALL)
    for at in range(0, len(head), step):
        if not agent.transport.wrote_eof:
            agent.send(head[at : at + step])
    assert (agent.answers, agent.code, agent.paths) == ([431], "head_too_large", [])
    assert b"connection: close" in agent.transport.written or agent.transport.ended == ""


def test_a_large_body_behind_a_head_that_came_in_two_pieces_is_no_large_head() -> None:
    """Only the bytes of the head count, wherever a read ends."""
    request = post("/billing/x", b"x" * 5000)
    agent = Agent(limits=SMALL)
    agent.send(request[:10], request[10:])
    assert agent.paths == ["/x"]


def test_each_request_has_the_limit_for_itself() -> None:
    """Many small heads in one read or over time are no large one."""
    agent = Agent(limits=SMALL)
    for _ in range(5):
        agent.send(get("/billing/" + "x" * 700))
        agent.serve()
    agent.send(b"".join(get("/billing/" + "x" * 300) for _ in range(4)))
    assert agent.answers == [200] * 5


def test_a_head_that_does_not_end_in_time_ends_the_connection() -> None:
    """However often another byte of it comes: time counts from its first one."""
    agent = Agent(limits=SMALL)
    agent.send(get())
    agent.serve()
    for octet in (b"G", b"E", b"T", b" ", b"/"):
        agent.send(octet)
        tick(agent, 2)
    tick(agent, 4)
    assert not agent.transport.ended
    agent.send(b"b")
    tick(agent, 1)
    assert agent.transport.ended == "closed"


def test_a_connection_that_sends_nothing_is_closed() -> None:
    """Soon if it never sent a request, later if it did."""
    agent = Agent(limits=SMALL)
    tick(agent, 14.9)
    assert not agent.transport.ended
    tick(agent, 0.1)
    assert agent.transport.ended == "closed"
    agent = Agent(limits=SMALL)
    agent.send(get())
    agent.serve()
    tick(agent, 74.9)
    assert not agent.transport.ended
    tick(agent, 0.1)
    assert agent.transport.ended == "closed"


def test_empty_lines_before_a_request_do_not_keep_a_connection() -> None:
    """They are no request."""
    agent = Agent(limits=SMALL)
    for _ in range(20):
        if not agent.transport.ended:
            agent.send(b"\r\n")
            tick(agent, 1)
    assert agent.transport.ended == "closed"


@pytest.mark.parametrize("line", [b"X-%d: 1\r\n", b"x"])
def test_trailers_are_bounded(line: bytes) -> None:
    """Endless lines after the last chunk, or one endless line, do not fill the memory."""
    agent = Agent(limits=SMALL)
    agent.send(get("/billing/1", b"Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n")
    trailer = b"".join([line % index if b"%" in line else line for index in range(100)])
    for _ in range(1000):
        if agent.transport.ended or agent.transport.wrote_eof:
            break
        agent.send(trailer)
    assert agent.transport.ended or agent.transport.wrote_eof


# The queue.


def test_a_long_pipeline_is_not_read_further() -> None:
    """No more than a few requests wait; every one that was read is answered, and reading goes on when few are left."""
    agent = Agent()
    count = MAX_QUEUED + 3
    agent.send(b"".join(get(f"/billing/{index}") for index in range(count)))
    assert not agent.transport.reading
    while agent.opened < count:
        waiting = count - 1 - agent.opened
        assert agent.transport.reading is (waiting < MAX_QUEUED), waiting
        agent.serve()
    assert agent.answers == [200] * count and agent.transport.reading


def test_a_slow_upstream_does_not_reopen_a_long_pipeline() -> None:
    """Slow and fast again, its queue is as long as before."""
    agent = Agent()
    agent.send(b"".join(get(f"/billing/{index}") for index in range(MAX_QUEUED + 3)))
    taker = agent.stage.links.wanted[0][1]
    agent.connect()
    taker.link_slow(True)
    taker.link_slow(False)
    assert not agent.transport.reading


def test_many_offers_to_upgrade_in_one_read_are_read_like_one() -> None:
    """Each is answered as it is; no nesting, whatever their number."""
    agent = Agent()
    count = 2000
    agent.send(get("/billing/x", b"Connection: Upgrade", b"Upgrade: h2c") * count)
    for _ in range(count):
        agent.serve()
    assert agent.answers == [200] * count


# Slow agents.


def test_an_agent_that_does_not_read_slows_its_upstream_down() -> None:
    """And lets it go on when it reads again."""
    agent = Agent()
    agent.send(get())
    link = agent.connect()
    agent.connection.pause_writing()
    assert link.paused
    agent.connection.resume_writing()
    assert not link.paused


def test_an_agent_that_has_not_read_the_answer_before_slows_the_next_upstream_down() -> None:
    """Otherwise a pipeline of large answers would fill the memory."""
    agent = Agent()
    agent.send(get("/billing/1") + get("/billing/2") + get("/billing/3"))
    taker = agent.stage.links.wanted[0][1]
    agent.connect()
    taker.answer_head(200, [(b"content-length", b"1")])
    taker.answer_body(b"x")
    agent.connection.pause_writing()
    taker.answer_end()
    for _ in range(2):
        link = agent.connect()
        assert link.paused
        taker = agent.stage.links.wanted[-1][1]
        taker.answer_head(204, [])
        taker.answer_end()


def test_a_connection_that_opens_after_the_agent_became_slow_is_paused() -> None:
    """Also if the agent became slow while the service decided."""
    agent = Agent(judge=None)
    agent.send(get())
    agent.connection.pause_writing()
    agent.stage.decide(Outcome.ALLOW)
    link = agent.connect()
    assert link.paused
    agent.connection.resume_writing()
    assert not link.paused


# The end.


def test_an_agent_that_leaves_ends_everything() -> None:
    """What is under way is withdrawn; what waited is never asked."""
    agent = Agent()
    agent.send(get("/billing/1") + get("/billing/2"))
    link = agent.connect()
    agent.transport.lose()
    assert link.ended == "aborted" and agent.paths == ["/1"]
    assert agent.hub.connections == set()


@pytest.mark.parametrize("broken", [False, True])
def test_bodies_that_wait_in_the_queue_are_let_go_with_the_connection(broken: bool) -> None:
    """However it ends: else agents that come, queue bodies and leave would use the spool up."""
    agent = Agent()
    agent.send(get("/billing/1") + post("/billing/2", b"x" * 1000) * 2)
    assert agent.stage.spool.used == 2000
    if broken:
        taker = agent.stage.links.wanted[0][1]
        agent.connect()
        taker.answer_head(200, [(b"content-length", b"5")])
        taker.answer_body(b"x")
        taker.answer_flush()
        taker.link_lost()
        assert agent.transport.ended == "aborted"
    agent.transport.lose()
    assert agent.stage.spool.used == 0 and agent.paths == ["/1"]


@pytest.mark.parametrize("line", [b"Connection: close", b"Connection: x, Close"])
def test_an_agent_that_says_close_gets_one_answer(line: bytes) -> None:
    """All of it, then the end."""
    agent = Agent()
    agent.send(get("/billing/1", line))
    agent.serve(b"all of it")
    assert agent.transport.written.endswith(b"\r\nconnection: close\r\n\r\nall of it")
    assert agent.transport.ended == "closed"


def test_http_1_0_gets_one_answer() -> None:
    """It may say keep-alive; it is not kept."""
    agent = Agent()
    agent.send(b"GET /billing/1 HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n")
    agent.serve()
    assert agent.answers == [200] and agent.transport.ended == "closed"


def test_a_refused_upload_is_read_on_for_a_while() -> None:
    """So that the agent gets to read the refusal; bounded in bytes and in time."""
    for end in ("bytes", "time", "agent"):
        agent = Agent()
        agent.send(get("/billing/no", b"Content-Length: 100000000", method="POST") + b"x")
        assert agent.answers == [403] and agent.transport.wrote_eof and not agent.transport.ended
        assert agent.transport.reading
        if end == "bytes":
            for _ in range(LINGER_BYTES // 65536 + 1):
                assert not agent.transport.ended
                agent.send(b"x" * 65536)
        elif end == "time":
            tick(agent, LINGER_S)
        else:
            agent.transport.lose()
        assert agent.transport.ended in ("aborted", "lost")
        assert agent.paths == ["/no"] and agent.stage.spool.used == 0


def test_an_answer_that_breaks_breaks_the_connection() -> None:
    """Pending bytes may be lost; a clean end would be a lie."""
    agent = Agent()
    agent.send(get())
    taker = agent.stage.links.wanted[0][1]
    agent.connect()
    taker.answer_head(200, [])
    taker.answer_body(b"half")
    taker.answer_flush()
    taker.link_lost()
    assert agent.transport.ended == "aborted"
    assert agent.transport.written.endswith(b"\r\n\r\n4\r\nhalf\r\n")


def test_too_many_connections_are_closed_at_once() -> None:
    """Those that are there are not touched, and a place that is free is given."""
    agent = Agent(limits=Limits(max_connections=1))
    second = FakeTransport(ClientConnection(agent.hub))
    assert second.ended == "aborted" and not agent.transport.ended
    second.lose()
    agent.transport.lose()
    assert not FakeTransport(ClientConnection(agent.hub)).ended


def test_draining_closes_idle_connections_and_lets_others_finish() -> None:
    """An exchange under way gets its answer; then its connection is closed as well, and no new one is taken."""
    idle, busy = Agent(), Agent()
    busy.send(get("/billing/1"))
    idle.hub.draining = busy.hub.draining = True
    assert (idle.connection.drain(), busy.connection.drain()) == (False, True)
    assert idle.transport.ended == "closed" and not busy.transport.ended
    busy.serve()
    assert busy.answers == [200] and busy.transport.ended == "closed"
    assert FakeTransport(ClientConnection(busy.hub)).ended == "aborted"


def test_cutting_breaks_off_what_is_under_way() -> None:
    """Upstream and agent see a break, and the service is told if it was still asked."""
    asked, forwarding, idle = Agent(judge=None), Agent(), Agent()
    asked.send(get())
    forwarding.send(get())
    link = forwarding.connect()
    for agent in (asked, forwarding, idle):
        agent.connection.cut()
        assert agent.transport.ended == "aborted" and agent.answers == []
    assert link.ended == "aborted"
    assert len(asked.stage.decider.cancelled) == 1


def test_before_the_first_configuration_everything_is_refused() -> None:
    """A 503 that says why; the connection is kept."""
    agent = Agent()
    agent.hub.mounts = None
    agent.send(get())
    assert (agent.answers, agent.code, agent.transport.ended) == ([503], "service_unavailable", "")


def test_a_deadline_of_an_exchange_is_kept() -> None:
    """The connection looks at it on each tick."""
    agent = Agent(limits=Limits(answer_timeout_s=600))
    agent.send(get())
    agent.connect()
    tick(agent, 599)
    assert agent.answers == []
    tick(agent, 1)
    assert agent.answers == [504] and not agent.transport.ended

"""The HTTP shim over real sockets: what the origin gets is what was judged, and what the agent gets is its answer."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest

from e2e.origin import Origin, answer
from integration.agent_and_origin import (
    PATIENCE_S,
    Agent,
    RawOrigin,
    Shim,
    allow,
    allow_bare,
    get,
    post,
    running,
    saying,
)
from penstock._core.describe import BodyState
from penstock._core.limits import Limits
from penstock._core.verdict import Ask, KnownValue, MaskSpec, Outcome, Verdict
from penstock.http import shim as shim_module
from unit.penstock._core.fake_sides import CREDENTIAL, KEY, TOKEN

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Runs every test on the standard loop and on the one that the command uses."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Answers with the request's own bytes."""
    serving = Origin(lambda request: answer(request, "application/octet-stream"))
    yield serving
    serving.close()


@pytest.fixture
async def shim(origin: Origin) -> AsyncIterator[Shim]:
    """Runs a shim before that origin."""
    async with running(origin.port) as started:
        yield started


@pytest.fixture
async def agent(shim: Shim) -> Agent:
    """Connects an agent."""
    return await shim.agent()


def forwarded(port: int, start: str, *lines: str, body: bytes = b"") -> bytes:
    """Returns what the origin must get, byte for byte."""
    head = [f"{start} HTTP/1.1", f"host: 127.0.0.1:{port}", *lines]
    framing = [f"content-length: {len(body)}"] if body else []
    credential = [f"x-api-key: {CREDENTIAL[1].decode()}"]
    return (
        "\r\n".join([*head, "accept-encoding: identity", "via: 1.1 penstock", *credential, *framing, "", ""]).encode()
        + body
    )


async def test_a_unix_socket_serves_as_a_port_does(origin: Origin) -> None:
    """One shim, two ways in, the same answers and the same rules."""
    with tempfile.TemporaryDirectory(prefix="pst-") as folder:
        async with running(origin.port, also=(f"unix:{folder}/s",)) as shim:
            agents = [await shim.agent(), Agent(*await asyncio.open_unix_connection(f"{folder}/s"))]
            shim.agents.append(agents[1])
            for number, agent in enumerate(agents):
                await agent.send(get(f"/billing/{number}"))
                assert await agent.answer() == (200, forwarded(origin.port, f"GET /{number}"))
                await agent.send(get("/billing/no"))
                assert (await agent.answer())[0] == 403
            assert shim.paths == ["/0", "/no", "/1", "/no"]


async def test_a_connection_serves_many_requests(origin: Origin, shim: Shim, agent: Agent) -> None:
    """The origin gets each as it was judged, with the real credential, and the agent its answer, in order."""
    expected = []
    for index in range(5):
        body = b"x" * index * 1000
        await agent.send(post(f"/billing//v1/./{index}?q", body, b"X-A: 1", b"X-Forwarded-For: 1.2.3.4", b"Cookie: a"))
        expected.append(forwarded(origin.port, f"POST /v1/{index}?q", "x-a: 1", body=body))
        if not body:
            expected[-1] = expected[-1][:-2] + b"content-length: 0\r\n\r\n"
        assert await agent.answer() == (200, expected[-1])
    assert origin.requests == expected
    assert shim.paths == [f"/v1/{index}" for index in range(5)]
    assert TOKEN.encode() not in b"".join(origin.requests)
    assert shim.recorder.kinds == ["request", "response", "complete"] * 5


async def test_pipelined_requests_are_answered_in_order(origin: Origin, shim: Shim, agent: Agent) -> None:
    """Denied ones and unknown upstreams among them; what was not allowed never reaches the origin."""
    wanted = [("/billing/1", 200), ("/billing/no", 403), ("/other", 404), ("/billing/2", 200), ("/billing/3", 200)]
    body = b"GET /billing/hidden HTTP/1.1\r\nHost: shim\r\n\r\n"
    await agent.send(b"".join(post(path, body) for path, _ in wanted))
    for path, status in wanted:
        found, content = await agent.answer()
        assert found == status
        if status == 200:
            assert content == forwarded(origin.port, f"POST {path[8:]}", body=body)
    assert len(origin.requests) == 3
    assert shim.paths == ["/1", "/no", "/2", "/3"]


async def test_a_denial_names_its_rule_and_keeps_the_connection(origin: Origin, shim: Shim, agent: Agent) -> None:
    """A client that goes on is served."""
    await agent.send(get("/billing/no", method="DELETE"))
    status, body = await agent.answer()
    problem = json.loads(body)
    assert (status, problem["rule"], problem["code"], problem["detail"]) == (403, "no", "rule_denied", "not this")
    await agent.send(get("/billing/yes"))
    assert (await agent.answer())[0] == 200
    assert len(origin.requests) == 1


async def test_chunks_go_up_and_come_down() -> None:
    """Framed anew on both sides, whole and in order, while both still come."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await reader.readuntil(b"\r\n"), 16):
            piece = (await reader.readexactly(size + 2))[:-2]
            writer.write(b"%x;ext=1\r\n%b\r\n" % (size, piece))
        await reader.readexactly(2)
        writer.write(b"0\r\nX-Trailer: 1\r\n\r\n")

    async with RawOrigin(serve).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Transfer-Encoding: chunked", method="PUT") + b"3;a=b\r\none\r\n")
        assert b"\r\ntransfer-encoding: chunked\r\n" in await agent.head()
        assert await agent.exactly(8) == b"3\r\none\r\n"
        await agent.send(b"5\r\nthree\r\n")
        assert await agent.exactly(10) == b"5\r\nthree\r\n"
        await agent.send(b"0\r\nX-Role: admin\r\n\r\n")
        assert await agent.exactly(5) == b"0\r\n\r\n"
        assert bytes(origin.received[0]).endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n")
        assert b"x-role" not in bytes(origin.received[0]).lower()


async def test_an_agent_that_expects_100_gets_it_after_the_verdict(origin: Origin, shim: Shim, agent: Agent) -> None:
    """Not before: a denied one never sends its body."""
    await agent.send(get("/billing/x", b"Content-Length: 5", b"Expect: 100-continue", method="POST"))
    assert await agent.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    await agent.send(b"hello")
    status, echoed = await agent.answer()
    assert status == 200 and echoed == forwarded(origin.port, "POST /x", body=b"hello")
    await agent.send(get("/billing/no", b"Content-Length: 5", b"Expect: 100-continue", method="POST"))
    assert (await agent.answer())[0] == 403
    assert await agent.rest() == b""


async def test_the_answer_to_head_has_no_body() -> None:
    """And the connection serves the next request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            body = b"" if head.startswith(b"HEAD") else b"hello"
            writer.write(b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\n" + body)

    async with RawOrigin(serve).running() as origin, running(origin.port, judge=allow_bare) as shim:
        agent = await shim.agent()
        for _ in range(3):
            await agent.send(get(method="HEAD"))
            head = b"HTTP/1.1 200 OK\r\ndate: now\r\nvia: 1.1 penstock\r\ncontent-length: 5\r\n\r\n"
            assert await agent.head() == head
            await agent.send(get())
            assert await agent.answer() == (200, b"hello")
        assert len(origin.received) == 1


async def test_an_answer_without_a_length_is_ended_by_its_connection() -> None:
    """The agent gets chunks, and its own connection is kept."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        await writer.drain()
        writer.write_eof()

    async with RawOrigin(serve).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        for _ in range(2):
            await agent.send(get())
            assert await agent.answer() == (200, b"all of it")
        assert len(origin.received) == 2


async def test_secrets_and_personal_data_are_masked_on_the_way_back(origin: Origin) -> None:
    """The upstream's own credential, echoed, and what a rule names; the recording holds neither."""
    origin.respond = lambda request: answer(request + b"\nada@example.com", "text/plain")

    def judge(ask: Ask) -> Verdict:
        return allow(ask, MaskSpec(detectors=frozenset({"email"})))

    known = (KnownValue("billing-key", CREDENTIAL[1]),)
    async with running(origin.port, judge=judge, known=known) as shim:
        agent = await shim.agent()
        await agent.send(get())
        status, body = await agent.answer()
        assert status == 200 and "x-api-key: «billing-key:".encode() in body and "«email:".encode() in body
        for text in (body, shim.recorder.everything()):
            assert CREDENTIAL[1] not in text and b"ada@" not in text
        assert CREDENTIAL[1] in origin.requests[0]


async def test_a_held_request_goes_on_when_it_is_granted(origin: Origin) -> None:
    """The agent waits; the origin hears nothing before."""
    asked = asyncio.Event()

    def judge(ask: Ask) -> Verdict:
        asked.set()
        return Verdict(ask.call_id, Outcome.PENDING, approval="apr_1", hold_ms=60_000)

    async with running(origin.port, judge=judge) as shim:
        agent = await shim.agent()
        await agent.send(post("/billing/refund", b"250"))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        await asyncio.sleep(0.05)
        assert origin.requests == []
        shim.decider.deliver(allow(shim.decider.asks[0]))
        assert (await agent.answer())[0] == 200
        assert origin.requests == [forwarded(origin.port, "POST /refund", body=b"250")]


async def test_an_agent_that_leaves_while_it_waits_withdraws_its_request(origin: Origin) -> None:
    """The service is told; a grant that comes later reaches nobody."""
    asked, cancelled = asyncio.Event(), asyncio.Event()

    def judge(ask: Ask) -> Verdict:
        asked.set()
        return Verdict(ask.call_id, Outcome.PENDING, approval="apr_1", hold_ms=60_000)

    async with running(origin.port, judge=judge) as shim:
        cancel = shim.decider.cancel

        def noted(call_id: str) -> None:
            cancel(call_id)
            cancelled.set()

        shim.decider.cancel = noted  # type: ignore[method-assign]  # tells the test when
        agent = await shim.agent()
        await agent.send(post("/billing/refund", b"250"))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        agent.writer.close()
        await asyncio.wait_for(cancelled.wait(), PATIENCE_S)
        shim.decider.deliver(allow(shim.decider.asks[0]))
        assert origin.requests == [] and len(shim.decider.cancelled) == 1


async def test_a_body_that_must_be_read_is_read_whole_or_refused(origin: Origin) -> None:
    """Up to what the service allows, however it comes; more is a 413, and nothing of it is forwarded."""

    def judge(ask: Ask) -> Verdict:
        if ask.action.http.body_state is BodyState.WITHHELD:
            return Verdict(ask.call_id, Outcome.NEED_BODY, need_body_max=100_000)
        return allow(ask)

    async with running(origin.port, judge=judge) as shim:
        body = b"0123456789" * 10_000
        chunked = b"".join(b"2710\r\n%b\r\n" % body[at : at + 10_000] for at in range(0, len(body), 10_000))
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Transfer-Encoding: chunked", method="POST") + chunked + b"0\r\n\r\n")
        assert await agent.answer() == (200, forwarded(origin.port, "POST /x", body=body))
        assert shim.decider.asks[-1].action.http.body == body
        for request in (
            get("/billing/x", b"Content-Length: 100001", method="POST") + b"x",
            get("/billing/x", b"Transfer-Encoding: chunked", method="POST") + chunked + b"1\r\nx\r\n",
        ):
            agent = await shim.agent()
            await agent.send(request)
            assert (await agent.answer())[0] == 413
            assert await agent.rest() == b""
        assert len(origin.requests) == 1


async def test_without_the_service_nothing_passes(origin: Origin, shim: Shim, agent: Agent) -> None:
    """At once; and when it is back, requests pass again over the same connection."""
    config = shim.decider.current
    shim.decider.push(None)
    await agent.send(get())
    status, body = await agent.answer()
    assert (status, json.loads(body)["code"]) == (503, "service_unavailable")
    shim.decider.push(config)
    await agent.send(get())
    assert (await agent.answer())[0] == 200
    assert len(origin.requests) == 1


async def test_streams_are_cut_when_the_service_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way goes on for a while, and is then broken off on both sides."""
    monkeypatch.setattr(shim_module, "CUT_S", 0.5)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
    async with RawOrigin(saying(answer)).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get())
        await agent.head()
        shim.decider.push(None)
        assert not (await agent.rest()).endswith(b"0\r\n\r\n")
        await asyncio.wait_for(origin.closed[0].wait(), PATIENCE_S)
        assert shim.recorder.kinds[-1] == "aborted_by_client"


async def test_the_connection_goes_to_the_address_that_was_checked(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers differently the second time (DNS rebinding) is asked once for each connection."""
    asked: list[str] = []

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        if host == "flip.example":
            asked.append(host)
        address = "127.0.0.1" if len(asked) <= 1 else "127.0.0.99"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with running(origin.port, host="flip.example") as shim:
        for _ in range(2):
            agent = await shim.agent()
            await agent.send(get("/billing/x", b"Connection: close"))
            assert (await agent.answer())[0] == 200
        assert asked == ["flip.example"]
        assert origin.requests[0].startswith(f"GET /x HTTP/1.1\r\nhost: flip.example:{origin.port}\r\n".encode())


async def test_closing_drains(origin: Origin) -> None:
    """What is under way is answered, idle agents are sent away, new ones are not taken."""
    asked = asyncio.Event()

    def judge(ask: Ask) -> None:
        asked.set()

    async with running(origin.port, judge=judge) as shim:
        idle, busy = await shim.agent(), await shim.agent()
        await busy.send(get())
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        closing = asyncio.create_task(shim.shim.close(PATIENCE_S))
        assert await idle.rest() == b""
        try:
            late = await shim.agent()
            await late.send(get())
            assert await late.rest() == b""
        except ConnectionError:
            pass  # refused rather than closed: the kernel's choice
        assert not closing.done()
        shim.decider.deliver(Verdict(shim.decider.asks[0].call_id, Outcome.ALLOW, mask_key=KEY))
        assert (await busy.answer())[0] == 200
        assert await busy.rest() == b""
        await asyncio.wait_for(closing, PATIENCE_S)
        assert shim.recorder.kinds == ["request", "response", "complete"]


async def test_closing_breaks_off_what_does_not_end(origin: Origin) -> None:
    """After the time that it was given: the agent sees a break and the service a withdrawal."""
    asked = asyncio.Event()

    def judge(ask: Ask) -> None:
        asked.set()

    async with running(origin.port, judge=judge) as shim:
        agent = await shim.agent()
        await agent.send(get())
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        await asyncio.wait_for(shim.shim.close(0.1), PATIENCE_S)
        assert await agent.rest() == b""
        assert len(shim.decider.cancelled) == 1 and origin.requests == []


async def test_connections_are_limited(origin: Origin) -> None:
    """Further ones are closed at once, and a free place is given."""
    async with running(origin.port, limits=Limits(max_connections=1)) as shim:
        first = await shim.agent()
        await first.send(get())
        assert (await first.answer())[0] == 200
        second = await shim.agent()
        assert await second.rest() == b""
        first.writer.close()
        for _ in range(1000):
            try:
                third = await shim.agent()
                await third.send(get())
                assert (await third.answer())[0] == 200
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)  # the shim has not noticed yet that the first one left
            else:
                return
        raise AssertionError("no place became free")

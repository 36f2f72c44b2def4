"""Hostile agents before a real shim: nothing but what was judged may reach the origin, compared byte for byte."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from integration.agent_and_origin import RawOrigin, Shim, get, post, running
from penstock._core.limits import Limits
from penstock._core.verdict import Ask
from unit.penstock._core.fake_sides import CREDENTIAL, TOKEN

pytestmark = pytest.mark.anyio

AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
HIDDEN = b"GET /billing/no HTTP/1.1\r\nHost: shim\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Runs every test on the standard loop and on the one that the command uses."""
    return "asyncio", {"use_uvloop": request.param}


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request that has a Content-Length or no body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
async def origin() -> AsyncIterator[RawOrigin]:
    """Runs an origin that logs all bytes."""
    async with RawOrigin(answering).running() as started:
        yield started


@pytest.fixture
async def shim(origin: RawOrigin) -> AsyncIterator[Shim]:
    """Runs a shim before it."""
    async with running(origin.port) as started:
        yield started


def raw(start: str, *lines: bytes, body: bytes = b"") -> bytes:
    """Returns a request as an attacker writes it: lines with their own ends."""
    return start.encode() + b"\r\nHost: shim\r\n" + AUTH + b"".join(lines) + b"\r\n" + body


def crafted(method: str, *lines: bytes, body: bytes = b"") -> bytes:
    """Returns such a request for /billing/x."""
    return raw(f"{method} /billing/x HTTP/1.1", *lines, body=body)


def judged(ask: Ask) -> bytes:
    """Returns what the origin may get for a question that was allowed: what was asked about, and nothing else."""
    http = ask.action.http
    query = f"?{http.query}" if http.query else ""
    lines = [f"{http.method} {http.path}{query} HTTP/1.1".encode(), b"host: " + http.authority.encode()]
    lines += [name.encode() + b": " + value for name, value in http.headers]
    lines += [b"via: 1.1 penstock", b"x-api-key: " + CREDENTIAL[1]]
    if http.body or http.method in ("POST", "PUT", "PATCH"):
        lines.append(b"content-length: %d" % len(http.body))
    return b"\r\n".join([*lines, b"", b""]) + http.body


LAST = b"0\r\n\r\n"
ATTEMPTS = {
    "CL.TE": crafted("POST", b"Content-Length: 6\r\n", CHUNKED, body=LAST + HIDDEN),
    "TE.CL": crafted("POST", CHUNKED, b"Content-Length: 4\r\n", body=b"29\r\n" + HIDDEN + b"\r\n" + LAST),
    "TE.TE": crafted("POST", CHUNKED, b"Transfer-Encoding: x\r\n", body=LAST + HIDDEN),
    "TE with a tab": crafted("POST", b"Transfer-Encoding:\tchunked\r\n", body=LAST + HIDDEN),
    "TE with a vertical tab": crafted("POST", b"Transfer-Encoding: \x0bchunked\r\n", body=HIDDEN),
    "TE before a colon": crafted("POST", b"Transfer-Encoding : chunked\r\n", body=LAST + HIDDEN),
    "TE after a bare LF": crafted("POST", b"X: 1\nTransfer-Encoding: chunked\r\n", body=HIDDEN),
    "TE after a bare CR": crafted("POST", b"X: 1\rTransfer-Encoding: chunked\r\n", body=HIDDEN),
    "TE folded": crafted("POST", b"Transfer-Encoding:\r\n chunked\r\n", body=LAST + HIDDEN),
    "TE in a list": crafted("POST", b"Transfer-Encoding: identity, chunked\r\n", body=HIDDEN),
    "TE in HTTP/1.0": raw("POST /billing/x HTTP/1.0", CHUNKED, body=LAST + HIDDEN),
    "two CL": crafted("POST", b"Content-Length: 0\r\nContent-Length: 43\r\n", body=HIDDEN),
    "CL list": crafted("POST", b"Content-Length: 0, 43\r\n", body=HIDDEN),
    "CL with a sign": crafted("POST", b"Content-Length: +0\r\n", body=HIDDEN),
    "CL with an underscore": crafted("POST", b"Content_Length: 41\r\n", body=HIDDEN),
    "CL named by Connection": crafted("POST", b"Connection: content-length\r\n", LENGTH, body=HIDDEN),
    "CL of GET": crafted("GET", LENGTH, body=HIDDEN),
    "body without a length": crafted("GET", body=HIDDEN),
    "chunk with an extension": crafted("POST", CHUNKED, body=b"2;a=\r\nab\r\n0\r\n\r\n" + HIDDEN),
    "chunk with a bare LF": crafted("POST", CHUNKED, body=b"2;\nxx\r\n29\r\n0\r\n\r\n" + HIDDEN),
    "chunk size too large": crafted("POST", CHUNKED, body=b"100000000000000002\r\nab\r\n0\r\n\r\n" + HIDDEN),
    "trailer": crafted("POST", CHUNKED, body=b"0\r\nContent-Length: 41\r\nHost: evil\r\n\r\n" + HIDDEN),
    "expect": crafted("POST", b"Expect: 100-continue\r\n", LENGTH, body=HIDDEN),
    "upgrade": crafted("GET", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", body=HIDDEN),
    "upgrade with a body": raw(
        "POST /billing/x HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", LENGTH, body=HIDDEN
    ),
    "connect": raw("CONNECT 127.0.0.1:80 HTTP/1.1", body=HIDDEN),
    "absolute form": raw("GET http://evil.example/billing/x HTTP/1.1", body=HIDDEN),
    "space in the target": raw("GET /billing/x HTTP/1.1\tHTTP/1.1", body=HIDDEN),
    "tab in the request line": raw("GET\t/billing/x\tHTTP/1.1", body=HIDDEN),
    "CRLF in the query": raw("GET /billing/x?a%0d%0aHost:%20evil HTTP/1.1", body=HIDDEN),
    "CRLF in the path": raw("GET /billing/x%0d%0aHost:%20evil HTTP/1.1", body=HIDDEN),
    "two hosts": crafted("GET", b"Host: evil\r\n", body=HIDDEN),
    "an end in a value": crafted("GET", b"X: a\\r\\nHost: evil\r\n", body=HIDDEN),
    "dots": raw("GET /billing/x/..;/no HTTP/1.1", body=HIDDEN),
    "escaped dots": raw("GET /billing/x/%2e%2e/no HTTP/1.1"),
    "out of the mount": raw("GET /billing/../other HTTP/1.1"),
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("first", [b"", post("/billing/before", b"12345")], ids=["first", "second"])
async def test_nothing_but_the_judged_request_reaches_the_origin(
    origin: RawOrigin, shim: Shim, attempt: str, first: bytes
) -> None:
    """However a request is hidden: each byte that goes up was asked about, and what was denied is not among them."""
    agent = await shim.agent()
    await agent.send(first + ATTEMPTS[attempt] + get("/billing/after", b"Connection: close"))
    answers = await agent.rest()
    allowed = [ask for ask in shim.decider.asks if not ask.action.http.path.startswith("/no")]
    assert bytes(origin.everything) == b"".join(map(judged, allowed))
    assert answers.startswith(b"HTTP/1.1 ") and answers.count(b"200 OK") == len(allowed)
    assert TOKEN.encode() not in origin.everything


@pytest.mark.parametrize(
    ("attempt", "paths"),
    [
        ("body without a length", ["/x", "/no", "/after"]),
        ("CL of GET", ["/x", "/after"]),
        ("upgrade", ["/x", "/no", "/after"]),
        ("chunk with an extension", ["/x", "/no", "/after"]),
        ("escaped dots", ["/no", "/after"]),
        ("CL.TE", []),
        ("TE.CL", []),
        ("two CL", []),
        ("trailer", []),
        ("TE before a colon", []),
        ("TE after a bare LF", []),
        ("connect", []),
        ("absolute form", []),
        ("dots", []),
    ],
)
async def test_what_is_asked_about_a_hidden_request(shim: Shim, attempt: str, paths: list[str]) -> None:
    """Where it is a request of its own, it is judged for itself; where it is doubtful, nothing is asked any more."""
    agent = await shim.agent()
    await agent.send(ATTEMPTS[attempt] + get("/billing/after", b"Connection: close"))
    await agent.rest()
    assert shim.paths == paths


async def test_a_connection_of_one_agent_never_carries_the_answer_of_another(origin: RawOrigin, shim: Shim) -> None:
    """Kept connections to the origin are shared; each answer goes to whoever asked."""
    agents = [await shim.agent() for _ in range(4)]
    for _ in range(3):
        for agent in agents:
            await agent.send(get())
        for agent in agents:
            assert await agent.answer() == (200, b"ok")
    assert 1 <= len(origin.received) <= 4


async def test_a_head_that_drips_is_cut(origin: RawOrigin) -> None:
    """Another byte now and then keeps no connection."""
    async with running(origin.port, limits=Limits(head_timeout_s=0.4)) as shim:
        agent = await shim.agent()
        ended = asyncio.create_task(agent.rest())
        for octet in get():
            if ended.done():
                break
            agent.writer.write(bytes([octet]))
            await asyncio.sleep(0.05)
        assert await ended == b""
        assert shim.paths == []


async def test_an_idle_connection_is_closed(origin: RawOrigin) -> None:
    """After an answer, and also if it never sent anything."""
    async with running(origin.port, limits=Limits(head_timeout_s=0.2, idle_timeout_s=0.2)) as shim:
        silent, agent = await shim.agent(), await shim.agent()
        await agent.send(get())
        assert await agent.answer() == (200, b"ok")
        assert await agent.rest() == await silent.rest() == b""


async def test_a_large_head_is_refused(origin: RawOrigin, shim: Shim) -> None:
    """In one piece and in many; the agent gets to read why."""
    for pieces in (1, 50):
        agent = await shim.agent()
        head = get("/billing/x", b"X-A: " + b"x" * 80_000)
        for at in range(0, len(head), len(head) // pieces + 1):
            await agent.send(head[at : at + len(head) // pieces + 1])
        status, body = await agent.answer()
        assert (status, json.loads(body)["code"]) == (431, "head_too_large")
    assert origin.received == []


async def test_a_refused_upload_can_be_read_by_the_agent(origin: RawOrigin, shim: Shim) -> None:
    """The refusal arrives although most of the body is still on its way."""
    agent = await shim.agent()
    agent.writer.write(get("/billing/no", b"Content-Length: 400000", method="POST") + b"x" * 400_000)
    status, body = await agent.answer()
    assert (status, json.loads(body)["code"]) == (403, "rule_denied")
    assert await agent.rest() == b""


async def test_a_client_of_tls_is_told_that_this_is_http(shim: Shim) -> None:
    """Its bytes are no request."""
    agent = await shim.agent()
    await agent.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100)
    assert (await agent.answer())[0] == 400
    assert await agent.rest() == b""

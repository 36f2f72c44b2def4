"""Streams through a real shim: whole or visibly broken, in bounded memory, however slow or faithless a side is."""

import asyncio
import hashlib
import socket
import struct
from random import Random

import pytest

from integration.agent_and_origin import PATIENCE_S, Agent, RawOrigin, Serve, allow, allow_bare, get, post, running
from penstock._core.limits import Limits
from penstock._core.verdict import FrameKind, KnownValue, MaskSpec
from unit.penstock._core.fake_sides import KNOWN

pytestmark = pytest.mark.anyio

BIG = 20_000_000
SMALL_BUFFER = 65536
"""Bytes of a kernel's socket buffer where a test wants a full one soon."""
BOUND = 32 << 20
"""Bytes that all buffers of one exchange may hold together: each of its four sockets may get 6 MB of the kernel."""


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Runs every test on the standard loop and on the one that the command uses."""
    return "asyncio", {"use_uvloop": request.param}


def sock_of(writer: asyncio.StreamWriter) -> socket.socket:
    """Returns the socket of a connection."""
    sock: socket.socket = writer.get_extra_info("socket")
    return sock


def reset(writer: asyncio.StreamWriter) -> None:
    """Breaks a connection with a reset."""
    sock_of(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answering(*pieces: bytes, then: str = "wait") -> Serve:
    """Returns an origin that answers each connection's first request with these pieces, and ends in that way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        if then == "reset":
            reset(writer)
        elif then == "close":
            writer.close()

    return serve


# Upstreams that break off.


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    "head",
    [b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"Content-Length: 100\r\n\r\nhalf"],
    ids=["chunks", "length"],
)
@pytest.mark.parametrize("known", [(), (KNOWN,)], ids=["plain", "masked"])
async def test_an_answer_that_breaks_off_looks_broken(head: bytes, then: str, known: tuple[KnownValue, ...]) -> None:
    """The agent's chunks never end, or its body is short of the length; or it is told, if nothing was sent yet."""
    serve = answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + head, then=then)
    judge = allow if known else allow_bare
    async with RawOrigin(serve).running() as origin, running(origin.port, judge=judge, known=known) as shim:
        agent = await shim.agent()
        await agent.send(get())
        got = await agent.head()
        if got.startswith(b"HTTP/1.1 502"):
            assert known and b"Content-Length" in head
        else:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                length = got.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await (agent.exactly(int(length)) if length else agent.reader.readuntil(b"0\r\n\r\n"))
        assert shim.recorder.kinds[-1] == "aborted_by_upstream"


async def test_an_origin_that_closes_without_an_answer_is_a_502() -> None:
    """The agent's connection is kept."""
    async with RawOrigin(answering(then="close")).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        for _ in range(2):
            await agent.send(post("/billing/x", b"hello"))
            assert (await agent.answer())[0] == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        b"220 hello\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000,
    ],
)
async def test_what_is_no_answer_is_a_502(answer: bytes) -> None:
    """Nothing of it reaches the agent."""
    async with RawOrigin(answering(answer)).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get())
        status, body = await agent.answer()
        assert status == 502 and b"hello" not in body


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_for_a_get_only() -> None:
    """The origin closes when the second request arrives: a GET is sent again, a POST is a 502 and is sent once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readuntil(b"\r\n\r\n")
        reset(writer)

    async with RawOrigin(serve).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        for index in range(3):
            await agent.send(get(f"/billing/{index}"))
            assert await agent.answer() == (200, b"ok")
        assert bytes(origin.everything).count(b"GET /1 ") == 2
        await agent.send(post("/billing/3", b""))
        assert (await agent.answer())[0] == 502
        assert bytes(origin.everything).count(b"POST /3 ") == 1
        assert shim.paths == ["/0", "/1", "/2", "/3"]


async def test_what_an_origin_says_unasked_reaches_nobody() -> None:
    """A second answer behind the first one, or later on the idle connection, is not taken for the next request's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        if len(origin.received) % 2:
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(evil)

    origin = RawOrigin(serve)
    async with origin.running(), running(origin.port) as shim:
        agent = await shim.agent()
        for _ in range(4):
            await agent.send(get())
            assert await agent.answer() == (200, b"ok")
            await asyncio.sleep(0.1)
        assert len(origin.received) == 4


# Large bodies.


def bytes_of(kind: str) -> bytes:
    """Returns twenty million bytes: binary ones, or lines of text."""
    random = Random(1)  # always the same ones
    if kind == "binary":
        return random.randbytes(BIG)
    line = random.randbytes(35).hex().encode()
    return b"".join(b"%s %08d\n" % (line, index) for index in range(BIG // 80))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the body of the request while it comes; with its kind of framing."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    content_type = b"content-type: " + head.partition(b"content-type: ")[2].partition(b"\r\n")[0] + b"\r\n"
    if b"transfer-encoding: chunked" not in head:
        left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\n" + content_type + b"Content-Length: %d\r\n\r\n" % left)
        while left:
            piece = await reader.read(min(left, 65536))
            left -= len(piece)
            writer.write(piece)
            await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\n" + content_type + b"Transfer-Encoding: chunked\r\n\r\n")
    while size := int(await reader.readuntil(b"\r\n"), 16):
        writer.write(b"%x\r\n%b" % (size, await reader.readexactly(size + 2)))
        await writer.drain()
    await reader.readexactly(2)
    writer.write(b"0\r\n\r\n")


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize(("kind", "content_type"), [("binary", "application/octet-stream"), ("text", "text/plain")])
async def test_twenty_megabytes_pass_both_ways_unchanged(kind: str, content_type: str, chunked: bool) -> None:
    """Up and down at once; the recording holds the text, and says that it lacks what it cannot mask."""
    body = bytes_of(kind)
    async with RawOrigin(echo).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        line = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)

        async def upload() -> None:
            await agent.send(get("/billing/x", line, b"Content-Type: " + content_type.encode(), method="POST"))
            for at in range(0, len(body), 100_000):
                piece = body[at : at + 100_000]
                await agent.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await agent.send(b"0\r\n\r\n")

        uploading = asyncio.create_task(upload())
        status, got = await agent.answer()
        await uploading
        assert status == 200
        assert hashlib.sha256(got).hexdigest() == hashlib.sha256(body).hexdigest()
        for recorded in (FrameKind.REQUEST, FrameKind.RESPONSE):
            assert shim.recorder.body(recorded) == (body if kind == "text" else b"")
        assert shim.recorder.kinds[-1] == "complete"
        if kind == "binary":
            assert shim.recorder.frames[-1].masked == {"unmaskable": 2}


async def test_a_large_masked_answer_is_masked_everywhere() -> None:
    """A known value every few kilobytes, over many reads."""
    piece = b"-" * 5000 + KNOWN.value + b"\n"
    body = piece * 1000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 7777):
            writer.write(body[at : at + 7777])
            await writer.drain()

    async with RawOrigin(serve).running() as origin, running(origin.port, known=(KNOWN,)) as shim:
        agent = await shim.agent()
        await agent.send(get())
        status, got = await agent.answer()
        token = got[5000:].partition(b"\n")[0]
        assert status == 200 and token.startswith(b"\xc2\xabbilling-key:")
        assert got == (b"-" * 5000 + token + b"\n") * 1000
        assert shim.recorder.frames[-1].masked == {"billing-key": 1000}
        assert shim.recorder.body(FrameKind.RESPONSE) == got


# Sides that do not read.


class Faucet:
    """Writes pieces without end until nothing more is taken, and goes on when it is."""

    def __init__(self) -> None:
        self.written = 0
        self.stalled = asyncio.Event()
        self.stop = asyncio.Event()

    async def pour(self, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
        """Writes until told to stop, then the end."""
        sock_of(writer).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        writer.transport.set_write_buffer_limits(high=0)
        piece = b"x" * 32_768
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        while not self.stop.is_set():
            if self.written > BOUND:
                self.stalled.set()  # too much was taken: the test sees it, and memory is spared
                return
            writer.write(framed)
            self.written += len(piece)
            drained = asyncio.ensure_future(writer.drain())
            if not (await asyncio.wait([drained], timeout=0.5))[0]:
                self.stalled.set()
            await drained
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@pytest.mark.parametrize("known", [False, True], ids=["plain", "masked"])
async def test_an_agent_that_does_not_read_stops_the_origin(known: bool) -> None:
    """In bounded memory; and when it reads again it gets every byte."""
    faucet = Faucet()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        await faucet.pour(writer, chunked=True)

    async with RawOrigin(serve).running() as origin, running(origin.port, known=(KNOWN,) if known else ()) as shim:
        agent = await shim.agent(receive_buffer=SMALL_BUFFER)
        agent.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is one that can
        agent.writer.write(get())
        await asyncio.wait_for(faucet.stalled.wait(), PATIENCE_S)
        assert faucet.written < BOUND
        faucet.stop.set()
        agent.writer.transport.resume_reading()  # type: ignore[attr-defined]
        status, body = await agent.answer()
        assert (status, len(body), body.strip(b"x")) == (200, faucet.written, b"")


async def test_an_agent_that_pipelines_and_does_not_read_stops_the_origin() -> None:
    """The answer to its first request fills the buffers; the second one's must not go on filling them."""
    faucet = Faucet()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"GET /first "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"y" * 900_000)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await faucet.pour(writer, chunked=True)

    def judge(ask: object) -> object:
        return allow(ask, MaskSpec(json=frozenset({"/never"})) if "first" in repr(ask) else None)  # type: ignore[arg-type]

    async with RawOrigin(serve).running() as origin, running(origin.port, judge=judge) as shim:  # type: ignore[arg-type]
        agent = await shim.agent(receive_buffer=SMALL_BUFFER)
        agent.writer.transport.pause_reading()  # type: ignore[attr-defined]
        agent.writer.write(get("/billing/first") + get("/billing/second"))
        await asyncio.wait_for(faucet.stalled.wait(), PATIENCE_S)
        assert faucet.written < BOUND
        faucet.stop.set()
        agent.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await agent.answer() == (200, b"y" * 900_000)
        assert len((await agent.answer())[1]) == faucet.written


@pytest.mark.parametrize("when", ["asked", "forwarding"])
async def test_an_origin_that_does_not_read_stops_the_agent(when: str) -> None:
    """Or a verdict that does not come: the body waits with the agent, not in the shim."""
    go_on = asyncio.Event()
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        sock_of(writer).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go_on.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while size := int(await reader.readuntil(b"\r\n"), 16):
            received += len((await reader.readexactly(size + 2))[:-2].replace(b"x", b"y").strip(b"\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    asks: list[object] = []
    judge = (lambda ask: asks.append(ask)) if when == "asked" else allow  # type: ignore[func-returns-value]
    async with RawOrigin(serve).running() as origin, running(origin.port, judge=judge) as shim:  # type: ignore[arg-type]
        agent = await shim.agent()
        faucet = Faucet()
        await agent.send(get("/billing/x", b"Transfer-Encoding: chunked", method="POST"))
        pouring = asyncio.create_task(faucet.pour(agent.writer, chunked=True))
        await asyncio.wait_for(faucet.stalled.wait(), PATIENCE_S)
        assert faucet.written < BOUND
        if when == "asked":
            shim.decider.deliver(allow(shim.decider.asks[0]))
        go_on.set()
        faucet.stop.set()
        await asyncio.wait_for(pouring, PATIENCE_S)
        assert await agent.answer() == (200, b"ok")
        assert received == faucet.written


async def test_an_agent_that_never_reads_on_is_cut() -> None:
    """After the time for a stream that does not move: then both connections are broken."""
    faucet = Faucet()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await faucet.pour(writer, chunked=True)

    limits = Limits(stream_timeout_s=1.5)
    async with RawOrigin(serve).running() as origin, running(origin.port, limits=limits) as shim:
        agent: Agent = await shim.agent(receive_buffer=SMALL_BUFFER)
        agent.writer.transport.pause_reading()  # type: ignore[attr-defined]
        agent.writer.write(get())
        await asyncio.wait_for(origin_closed(origin), PATIENCE_S)
        assert shim.recorder.kinds[-1] == "aborted_by_shim"


async def origin_closed(origin: RawOrigin) -> None:
    """Waits until the origin has noticed that its first connection is gone."""
    for _ in range(1000):
        if origin.closed:
            await origin.closed[0].wait()
            return
        await asyncio.sleep(0.01)

"""What RFC 9110 and RFC 9112 ask of an intermediary, as transcripts through a running shim.

Each transcript is what the agent sends, what the origin gets, what it answers, and what the agent gets, byte for byte.
@ORIGIN@ stands for the origin's host and port, and the origin dates its answers itself, so that they can be compared.
"""

import asyncio
from dataclasses import dataclass

import pytest

from integration.agent_and_origin import PATIENCE_S, RawOrigin, allow_bare, get, post, running, saying, unwanted
from penstock._core.verdict import Ask, KnownValue, Outcome, Verdict
from unit.penstock._core.fake_sides import KNOWN, TOKEN

pytestmark = pytest.mark.anyio

AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
OWN = b"accept-encoding: identity\r\nvia: 1.1 penstock\r\n"
"""What the shim adds to every request."""
VIA = b"via: 1.1 penstock\r\n"
"""What it adds to every answer."""
DATE = b"Date: D\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Runs every test on the standard loop and on the one that the command uses."""
    return "asyncio", {"use_uvloop": request.param}


@dataclass(frozen=True)
class Transcript:
    """Holds one exchange. start, lines: the agent's request without its Host and token; forwarded: what comes of them.

    reply: what the origin sends; shown: what the agent gets of it.
    """

    start: bytes
    forwarded: bytes
    reply: bytes
    shown: bytes
    lines: bytes = b""
    body: bytes = b""

    @property
    def sent(self) -> bytes:
        """Returns what the agent sends."""
        return self.start + b"\r\nHost: shim\r\n" + AUTH + self.lines + b"\r\n" + self.body


def plain(lines: bytes = b"", forwarded: bytes = b"", *, start: bytes = b"GET", body: bytes = b"") -> Transcript:
    """Returns a request with these lines, and which of them go on."""
    head = start + b" /x HTTP/1.1\r\nhost: @ORIGIN@\r\n" + forwarded
    reply = b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nok"
    shown = b"HTTP/1.1 200 OK\r\ndate: D\r\n" + VIA + b"content-length: 2\r\n\r\nok"
    return Transcript(start + b" /billing/x HTTP/1.1", head, reply, shown, lines, body)


def answered(reply: bytes, shown: bytes, *, start: bytes = b"GET") -> Transcript:
    """Returns a plain request with an answer; shown lacks what the shim adds to the fields."""
    head, _, body = shown.partition(b"\r\n\r\n")
    lines = [line + b"\r\n" for line in head.split(b"\r\n")]
    framing = [line for line in lines if line.startswith((b"content-length", b"transfer-encoding"))]
    head = b"".join([*(line for line in lines if line not in framing), VIA, *framing])
    forwarded = start + b" /x HTTP/1.1\r\nhost: @ORIGIN@\r\n" + OWN + b"\r\n"
    return Transcript(start + b" /billing/x HTTP/1.1", forwarded, reply, head + b"\r\n" + body)


TRANSCRIPTS = {
    # Fields of one connection (RFC 9110, 7.6.1) and those that name who passed a message on (7.6.3).
    "nothing special": plain(b"", OWN + b"\r\n"),
    "hop-by-hop fields": plain(
        b"Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\n",
        OWN + b"\r\n",
    ),
    "fields named by Connection": plain(
        b"X-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nConnection: x-one, X-TWO\r\n", b"x-three: 3\r\n" + OWN + b"\r\n"
    ),
    "Via goes on": plain(b"Via: 1.0 first, 1.1 second (x)\r\n", b"via: 1.0 first, 1.1 second (x)\r\n" + OWN + b"\r\n"),
    "Range is not asked for": plain(b"Range: bytes=0-1\r\nIf-Range: x\r\n", OWN + b"\r\n"),
    "Accept-Encoding": plain(b"Accept-Encoding: gzip, br\r\n", OWN + b"\r\n"),
    "Max-Forwards of GET": plain(b"Max-Forwards: 1\r\n", b"max-forwards: 1\r\n" + OWN + b"\r\n"),
    "Max-Forwards of OPTIONS": plain(b"Max-Forwards: 1\r\n", b"max-forwards: 0\r\n" + OWN + b"\r\n", start=b"OPTIONS"),
    "Expect without a body": plain(b"Expect: 100-continue\r\n", OWN + b"\r\n"),
    # Bodies of requests (RFC 9112, section 6).
    "a length": plain(b"Content-Length: 2\r\n", OWN + b"content-length: 2\r\n\r\nhi", start=b"PUT", body=b"hi"),
    "no body of POST": plain(b"", OWN + b"content-length: 0\r\n\r\n", start=b"POST"),
    "a length of zero": plain(b"Content-Length: 0\r\n", OWN + b"\r\n", start=b"DELETE"),
    "chunks that came at once have a length": plain(
        b"Transfer-Encoding: chunked\r\n",
        OWN + b"content-length: 3\r\n\r\nabc",
        start=b"POST",
        body=b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX: trailer\r\n\r\n",
    ),
    "a body of GET": plain(b"Content-Length: 2\r\n", OWN + b"content-length: 2\r\n\r\nhi", body=b"hi"),
    # Answers (RFC 9110, 7.6.1, 8.6, 15; RFC 9112, section 6).
    "hop-by-hop fields of an answer": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nConnection: keep-alive, x-hop\r\n"
        b"Proxy-Authenticate: x\r\nTrailer: X\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1\r\n\r\na",
    ),
    "Via of an answer": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nVia: 1.1 origin\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ndate: D\r\nvia: 1.1 origin\r\ncontent-length: 1\r\n\r\na",
    ),
    "chunks with extensions and trailers": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\nX: trailer\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ),
    "another reason phrase": answered(
        b"HTTP/1.1 404 Gone Fishing\r\nDate: D\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ndate: D\r\ncontent-length: 0\r\n\r\n",
    ),
    "a status of a known class": answered(
        b"HTTP/1.1 299 Fine\r\nDate: D\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 \r\ndate: D\r\ncontent-length: 0\r\n\r\n",
    ),
    "interim answers": answered(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1\r\n\r\na",
    ),
    "HEAD with a length": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1000\r\n\r\n",
        start=b"HEAD",
    ),
    "HEAD with chunks": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ndate: D\r\n\r\n",
        start=b"HEAD",
    ),
    "304 with a length": answered(
        b"HTTP/1.1 304 Not Modified\r\nDate: D\r\nETag: x\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ndate: D\r\netag: x\r\ncontent-length: 1000\r\n\r\n",
    ),
    "204 with a length": answered(
        b"HTTP/1.1 204 No Content\r\nDate: D\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ndate: D\r\n\r\n",
    ),
    "204 with a body": answered(
        b"HTTP/1.1 204 No Content\r\nDate: D\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\ndate: D\r\n\r\n",
    ),
    "HEAD with a body": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 5\r\n\r\n",
        start=b"HEAD",
    ),
    "ranges are not offered": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nAccept-Ranges: bytes\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1\r\n\r\na",
    ),
    "other ways to the origin are not told": answered(
        b'HTTP/1.1 200 OK\r\nDate: D\r\nAlt-Svc: h3=":443"\r\nX-Penstock-Code: x\r\nContent-Length: 1\r\n\r\na',
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1\r\n\r\na",
    ),
    "an origin that closes": answered(
        b"HTTP/1.1 200 OK\r\nDate: D\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 1\r\n\r\na",
    ),
    "a redirect": answered(
        b"HTTP/1.1 302 Found\r\nDate: D\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\ndate: D\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_an_exchange_reads_as_its_transcript(name: str) -> None:
    """Both ways, byte for byte; and the agent's connection then serves the next request."""
    transcript = TRANSCRIPTS[name]
    replies = [transcript.reply, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or b"0"))
            writer.write(replies.pop(0))

    async with RawOrigin(serve).running() as origin, running(origin.port, judge=allow_bare) as shim:
        agent = await shim.agent()
        await agent.send(transcript.sent)
        assert await agent.exactly(len(transcript.shown)) == transcript.shown
        host = b"127.0.0.1:%d" % origin.port
        assert bytes(origin.everything) == transcript.forwarded.replace(b"@ORIGIN@", host)
        await agent.send(get())
        assert await agent.answer() == (200, b"next")


@pytest.mark.parametrize(
    ("sent", "status", "line"),
    [
        (get("*", method="OPTIONS"), 400, b"x-penstock-code: ambiguous_path"),
        (get("/billing/x", b"Max-Forwards: 0", method="OPTIONS"), 405, b"allow: GET, HEAD, POST, PUT, PATCH"),
        (get("/billing/x", b"Max-Forwards: 0", method="TRACE"), 405, b"allow: GET, HEAD, POST, PUT, PATCH"),
        (get("/billing/x", method="TRACE"), 405, b"connection: close"),
        (get("/billing/x", b"Expect: 200-ok"), 417, b"x-penstock-code: bad_request"),
        (get("/billing/x", b"Transfer-Encoding: gzip", method="POST"), 400, b"connection: close"),
    ],
)
async def test_what_ends_at_the_shim_is_a_dated_refusal(sent: bytes, status: int, line: bytes) -> None:
    """The origin hears nothing; a method that is not taken is told which ones are, and TRACE shows nobody's head."""
    async with RawOrigin(unwanted).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(sent)
        head = await agent.head()
        assert head.startswith(b"HTTP/1.1 %d " % status) and line in head and b"\r\ndate: " in head
        assert b"authorization" not in head.lower() and origin.received == []


@pytest.mark.parametrize(("version", "via"), [(b"1.0", b"1.0"), (b"1.1", b"1.1")])
async def test_via_tells_the_version_of_each_side(version: bytes, via: bytes) -> None:
    """An old agent before a new origin, and the other way round; what has no Date gets one."""
    other = b"1.1" if version == b"1.0" else b"1.0"
    answer = b"HTTP/%b 200 OK\r\nContent-Length: 2\r\n\r\nok" % other
    async with RawOrigin(saying(answer)).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get().replace(b"HTTP/1.1", b"HTTP/" + version))
        head = await agent.head()
        assert b"\r\nvia: %b penstock\r\n" % other in head and b"\r\ndate: " in head
        assert (b"\r\nconnection: close\r\n" in head) is (version == b"1.0")
        assert b" HTTP/1.1\r\n" in origin.everything and b"\r\nvia: %b penstock\r\n" % via in origin.everything


# Bodies that are not read, and answers that come early (RFC 9110, section 10.1.1; RFC 9112, section 9.3).


async def test_an_answer_may_come_before_the_body_is_sent() -> None:
    """The shim asks for the body once that is allowed; the origin's final answer ends exchange and connections."""
    answer = b"HTTP/1.1 413 Too Large\r\nDate: D\r\nContent-Length: 3\r\n\r\nbig"
    async with RawOrigin(saying(answer)).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Content-Length: 500000", b"Expect: 100-continue", method="POST"))
        assert await agent.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert b"\r\nconnection: close\r\n" in (head := await agent.head()) and head.startswith(b"HTTP/1.1 413 ")
        assert await agent.exactly(3) == b"big"
        assert b"expect" not in bytes(origin.everything).lower()
        assert await agent.rest() == b""
        await asyncio.wait_for(origin.closed[0].wait(), PATIENCE_S)
        assert shim.recorder.kinds[-1] == "complete"


async def test_an_early_answer_is_read_by_an_agent_that_goes_on_sending() -> None:
    """What it still sends is dropped for a while, so that no reset takes the answer away."""
    answer = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"
    async with RawOrigin(saying(answer)).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Content-Length: 300000", method="POST") + b"x" * 1000)
        assert (await agent.answer())[0] == 401
        for _ in range(20):
            agent.writer.write(b"x" * 5000)
            await asyncio.sleep(0)
        assert await agent.rest() == b""


async def test_an_answer_may_begin_before_the_body_ends() -> None:
    """The rest of the body still goes up, to its end."""
    whole = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await reader.readexactly(200_000)
        whole.set()
        writer.write(b"1\r\nb\r\n0\r\n\r\n")

    async with RawOrigin(serve).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Content-Length: 200000", method="POST") + b"x" * 50_000)
        await agent.head()
        assert await agent.exactly(6) == b"1\r\na\r\n"
        await agent.send(b"x" * 150_000)
        assert await agent.exactly(11) == b"1\r\nb\r\n0\r\n\r\n"
        assert whole.is_set()


async def test_a_denied_agent_that_expects_100_never_sends_its_body() -> None:
    """The final answer takes the place of the interim one."""

    def deny(ask: Ask) -> Verdict:
        return Verdict(ask.call_id, Outcome.DENY, code="rule_denied", rule="no", reason="no")

    async with RawOrigin(unwanted).running() as origin, running(origin.port, judge=deny) as shim:
        agent = await shim.agent()
        await agent.send(get("/billing/x", b"Content-Length: 5", b"Expect: 100-continue", method="POST"))
        assert (await agent.head()).startswith(b"HTTP/1.1 403 ")
        assert origin.received == []


# Streams.


@pytest.mark.parametrize("known", [(), (KNOWN,)], ids=["plain", "masked"])
async def test_an_event_is_passed_on_before_the_next_one_comes(known: tuple[KnownValue, ...]) -> None:
    """Whole events, at once; the end of the stream is an end of its chunks."""
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            event = b"id: %d\ndata: hello\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await go_on.wait()
            go_on.clear()
        writer.write(b"0\r\n\r\n")

    async with RawOrigin(serve).running() as origin, running(origin.port, judge=allow_bare, known=known) as shim:
        agent = await shim.agent()
        await agent.send(get())
        assert b"\r\ntransfer-encoding: chunked\r\n" in await agent.head()
        for number in range(3):
            got = b""
            while not got.endswith(b"\n\n"):
                size = int(await agent.reader.readuntil(b"\r\n"), 16)
                got += (await agent.exactly(size + 2))[:-2]
            assert got == b"id: %d\ndata: hello\n\n" % number
            go_on.set()
        assert await agent.exactly(5) == b"0\r\n\r\n"


@pytest.mark.parametrize("half", [False, True], ids=["closed", "half closed"])
@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "within the answer"])
async def test_an_agent_that_leaves_is_gone_for_the_origin_too(half: bool, begun: bool) -> None:
    """At once, also where it closed one direction alone: TCP does not tell the two apart, and a model writes on."""
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if begun:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        asked.set()

    async with RawOrigin(serve).running() as origin, running(origin.port) as shim:
        agent = await shim.agent()
        await agent.send(post("/billing/x", b"hello"))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        if begun:
            await agent.head()
        if half:
            agent.writer.write_eof()
        else:
            agent.writer.close()
        await asyncio.wait_for(origin.closed[0].wait(), PATIENCE_S)
        assert shim.recorder.kinds == ["request", *(["response"] if begun else []), "aborted_by_client"]

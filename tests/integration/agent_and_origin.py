"""A real HttpShim on loopback between a raw agent and a raw origin; service and recorder are fakes."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from penstock._core.limits import Limits
from penstock._core.verdict import Ask, KnownValue, MaskSpec, Outcome, Verdict
from penstock.http import HttpShim
from unit.penstock._core.fake_sides import CREDENTIAL, KEY, TOKEN, FakeDecider, FakeRecorder, a_config, an_upstream

__all__ = [
    "PATIENCE_S",
    "Agent",
    "RawOrigin",
    "Shim",
    "allow",
    "allow_bare",
    "get",
    "post",
    "running",
    "saying",
    "unwanted",
]

_MASKED_KEY = re.compile("«upstream-key:[A-Z2-7]{10}»".encode())

PATIENCE_S = 20.0
"""How long anything may take before a test gives up, seconds; nothing here needs more than a part of it."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def get(path: str = "/billing/x", *lines: bytes, method: str = "GET") -> bytes:
    """Returns the bytes of a request without a body, with the agent's token."""
    head = f"{method} {path} HTTP/1.1\r\nHost: shim\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(path: str, body: bytes, *lines: bytes) -> bytes:
    """Returns the bytes of a request with a body."""
    return get(path, b"Content-Length: %d" % len(body), *lines, method="POST") + body


def saying(answer: bytes) -> Serve:
    """Returns what reads one head and answers with these bytes, whatever else comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return serve


async def unwanted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves where nothing may come."""
    raise AssertionError("nothing may come")


class RawOrigin:
    """Serves connections with a function of the test, and remembers every byte that came, by connection and in all."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.received: list[bytearray] = []
        self.everything = bytearray()
        self.closed: list[asyncio.Event] = []
        self.port = 0

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["RawOrigin"]:
        """Listens on loopback."""
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(self._connected(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log, closed = bytearray(), asyncio.Event()
        self.received.append(log)
        self.closed.append(closed)
        feed = reader.feed_data

        def logged(data: bytes) -> None:
            log.extend(data)
            self.everything.extend(data)
            feed(data)

        reader.feed_data = logged  # type: ignore[method-assign]  # the test wants the bytes, whoever reads them
        try:
            await self._serve(reader, writer)
            if not reader.at_eof():
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            closed.set()
            writer.close()


@dataclass
class Agent:
    """Is one raw connection to the shim."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Sends bytes."""
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), PATIENCE_S)

    async def head(self) -> bytes:
        """Returns the next head, with its empty line."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)

    async def exactly(self, size: int) -> bytes:
        """Returns so many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE_S)

    async def answer(self) -> tuple[int, bytes]:
        """Returns status and body of the next answer, which has a length or chunks; raises IncompleteReadError.

        The upstream's own key, which an echo brings back masked, is put in again, so that echoes can be compared.
        """
        status, body = await self._answer()
        return status, _MASKED_KEY.sub(CREDENTIAL[1], body)

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self.head()).lower()
        status = int(head.split(b" ", 2)[1])
        if b"transfer-encoding: chunked" not in head:
            return status, await self.exactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        body = b""
        while True:
            size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE_S), 16)
            body += (await self.exactly(size + 2))[:-2]
            if not size:
                return status, body

    async def rest(self) -> bytes:
        """Returns all until the shim ends the connection, in whatever way."""
        data = b""
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), PATIENCE_S):
                data += piece
        except ConnectionError:
            pass
        return data


def allow_bare(ask: Ask) -> Verdict:
    """Allows everything, without a credential: where nothing is known, nothing is masked."""
    return Verdict(ask.call_id, Outcome.ALLOW, mask_key=KEY)


def allow(ask: Ask, masks: MaskSpec | None = None) -> Verdict:
    """Allows all but paths under /no, with the upstream's credential."""
    if ask.action.http.path.startswith("/no"):
        return Verdict(ask.call_id, Outcome.DENY, code="rule_denied", rule="no", reason="not this", mask_key=KEY)
    hosts = (ask.action.http.authority,)
    return Verdict(
        ask.call_id,
        Outcome.ALLOW,
        credential=CREDENTIAL,
        credential_hosts=hosts,
        masks=masks or MaskSpec(),
        mask_key=KEY,
    )


@dataclass
class Shim:
    """Is a running shim. port: where agents come."""

    shim: HttpShim
    port: int
    decider: FakeDecider
    recorder: FakeRecorder
    agents: list[Agent] = field(default_factory=list)

    async def agent(self, *, receive_buffer: int = 0) -> Agent:
        """Connects an agent. receive_buffer: bytes that the kernel keeps for it, 0 for its choice."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(sock=sock)
        agent = Agent(reader, writer)
        self.agents.append(agent)
        return agent

    @property
    def paths(self) -> list[str]:
        """Returns the paths that were asked about."""
        return [ask.action.http.path for ask in self.decider.asks]


@asynccontextmanager
async def running(
    port: int,
    *,
    judge: Callable[[Ask], Verdict | None] | None = allow,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    known: tuple[KnownValue, ...] = (),
    host: str = "127.0.0.1",
    also: tuple[str, ...] = (),
) -> AsyncIterator[Shim]:
    """Runs a shim before the origin on that port. tls: how it verifies the origin, plain if None.

    also: where it listens besides a free port of loopback.
    """
    url = f"{'https' if tls else 'http'}://{host}:{port}"
    if judge is not allow_bare:
        known = (*known, KnownValue("upstream-key", CREDENTIAL[1]))
    config = a_config(an_upstream(url=url, private=True, known=known))
    decider, recorder = FakeDecider([], config, judge), FakeRecorder()
    shim = HttpShim(decider, recorder, limits, tls)
    decider.push(config)
    first, *_ = await shim.start("127.0.0.1:0", *also)
    running = Shim(shim, int(first.rpartition(":")[2]), decider, recorder)
    try:
        yield running
    finally:
        for agent in running.agents:
            agent.writer.close()
        await shim.close(0)

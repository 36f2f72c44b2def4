"""The whole of it for the cases: the real service over a database, the real shim, and an origin that logs raw bytes."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.agent_and_origin import PATIENCE_S, Agent, RawOrigin
from integration.bypass.case import Case, request
from integration.bypass.policy import POLICY, SECRET
from integration.service import Service, running_service
from penstock._client import open_client
from penstock._core.interfaces import Decider
from penstock._core.limits import Limits
from penstock._core.verdict import Ask, Outcome, ShimConfig, Verdict
from penstock.http import HttpShim
from penstock.v1 import audit_pb2, policy_pb2, secret_pb2
from penstock_server.store import migrate

__all__ = ["LIMITS", "Outcomes", "World", "running_world"]

LIMITS = Limits(head_timeout_s=1.0, body_timeout_s=1.0, idle_timeout_s=5.0, max_head_bytes=16384)
"""Short times: what never comes ends soon."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
PROBE = request("/b/probe")
"""What somebody else asks afterwards, over the connections that the case has left."""
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_CODE = re.compile(rb"(?m)^x-penstock-code: (\S+)\r?$")


class Witness:
    """Implements Decider over the real one, and remembers each question with its verdicts."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self.asked: list[tuple[Ask, list[Verdict]]] = []

    def config(self) -> ShimConfig | None:
        return self._decider.config()

    def on_config(self, callback: Callable[[ShimConfig | None], None]) -> None:
        self._decider.on_config(callback)

    def ask(self, ask: Ask, deliver: Callable[[Verdict], None]) -> None:
        verdicts: list[Verdict] = []
        self.asked.append((ask, verdicts))

        def noted(verdict: Verdict) -> None:
            verdicts.append(verdict)
            deliver(verdict)

        self._decider.ask(ask, noted)

    def cancel(self, call_id: str) -> None:
        self._decider.cancel(call_id)


@dataclass
class Outcomes:
    """Holds what became of a case. judged: last questions, and their outcomes; entries: of the log, by call id.

    received: all that came to the origin, and probed: what came of that for the probe afterwards.
    """

    answer: bytes
    judged: list[tuple[Ask, Outcome]]
    entries: dict[str, audit_pb2.AuditEntry | None]
    received: bytes
    probed: bytes
    probe: Ask | None
    streams: list[bytes] = field(default_factory=list)

    @property
    def answers(self) -> tuple[str, ...]:
        """Returns status and code of each answer; interim ones are left out."""
        found = []
        for match in _ANSWER.finditer(self.answer):
            status, code = match[1].decode(), _CODE.search(match[2])
            if not status.startswith("1"):
                found.append(f"{status} {code[1].decode()}" if code else status)
        return tuple(found)


class Origin(RawOrigin):
    """Answers every request that it can read with `reply`, once, and then with "ok"."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.reply = b""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            if b"\r\ntransfer-encoding: chunked" in lower:
                while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                    await reader.readexactly(size + 2)
                await reader.readexactly(2)
            else:
                length = lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or b"0"))
            reply, self.reply = self.reply, b""
            if not reply:
                writer.write(OK if head.startswith(b"HEAD ") else OK + b"ok")
                continue
            writer.write(reply)
            lower = reply.partition(b"\r\n\r\n")[0].lower()
            if b"content-length" not in lower and b"chunked" not in lower:
                await writer.drain()
                writer.close()
                return


class World:
    """Is everything that runs; plays one case after the other."""

    def __init__(self, service: Service, origin: Origin, witness: Witness, shim: HttpShim, port: int) -> None:
        self.service = service
        self._origin = origin
        self._witness = witness
        self._shim = shim
        self._port = port
        self.tokens = {
            b"@AGENT@": service.token("bot", "agents", owner="olga").encode(),
            b"@OTHER@": service.token("eve", "strangers").encode(),
        }
        self._names: dict[str, list[list[str]]] = {}

    @property
    def origin(self) -> str:
        """Returns the origin's host and port."""
        return f"127.0.0.1:{self._origin.port}"

    async def play(self, case: Case) -> Outcomes:
        """Sends what the case sends; returns what became of it once the shim has ended the connection."""
        witness, origin = self._witness, self._origin
        witness.asked.clear()
        origin.received.clear()
        origin.everything.clear()
        origin.reply, self._names = case.reply, {name: list(found) for name, found in case.resolves.items()}
        answer = await self._send(case.pieces)
        last = {ask.call_id: (ask, verdicts[-1].outcome) for ask, verdicts in witness.asked if verdicts}
        before = len(origin.everything)
        origin.reply = b""
        witness.asked.clear()
        probe = await self._send((PROBE,))
        assert probe.endswith(b"\r\n\r\nok"), "what came before broke what comes after"
        self._shim._pool.close()  # each case has connections of its own
        return Outcomes(
            answer=answer,
            judged=list(last.values()),
            entries={call_id: await self._entry(call_id) for call_id in last},
            received=bytes(origin.everything[:before]),
            probed=bytes(origin.everything[before:]),
            probe=witness.asked[0][0],
            streams=[bytes(log) for log in origin.received if log],
        )

    async def _send(self, pieces: tuple[bytes, ...]) -> bytes:
        """Returns all that comes back."""
        agent = Agent(*await asyncio.open_connection("127.0.0.1", self._port))
        try:
            for index, piece in enumerate(pieces):
                if index:
                    await asyncio.sleep(0.03)
                await agent.send(self.filled(piece))
        except ConnectionError:
            pass
        try:
            return await agent.rest()
        finally:
            agent.writer.close()

    def filled(self, piece: bytes) -> bytes:
        """Returns what is sent, with what only this run knows."""
        for name, token in self.tokens.items():
            piece = piece.replace(name, token)
        return piece.replace(b"@ORIGIN@", self.origin.encode())

    async def _entry(self, call_id: str) -> audit_pb2.AuditEntry | None:
        """Returns what the service's own log says of a question, None if it was not decided."""
        request = audit_pb2.ListEntriesRequest(call_id=call_id, page_size=100)
        entries = (await self.service.call("Audit.ListEntries", request, "aud")).entries
        return entries[-1] if entries else None

    async def resolve(self, host: str, port: int, **_: object) -> list[Any]:
        """Stands for getaddrinfo: names of the case give its answers one after the other, the last one for ever."""
        answers = self._names.get(host, [[host]])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kinds = {address: socket.AF_INET6 if ":" in address else socket.AF_INET for address in found}
        return [(kind, socket.SOCK_STREAM, 6, "", (address, port)) for address, kind in kinds.items()]


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Runs service, shim and origin for a block; names resolve as the cases say."""
    database = f"sqlite+aiosqlite:///{folder / 'penstock.db'}"
    await asyncio.to_thread(migrate, database)
    origin = Origin()
    async with running_service(folder, database) as service, origin.running():
        client = open_client(service.config.listen[0], await service.enrol("bypass"))
        witness = Witness(client.decider)
        configured = asyncio.Event()
        shim = HttpShim(witness, client.recorder, LIMITS)
        (url,) = await shim.start("127.0.0.1:0")
        port = int(url.rpartition(":")[2])
        world = World(service, origin, witness, shim, port)
        loop = asyncio.get_running_loop()
        getaddrinfo = loop.getaddrinfo
        policy = POLICY.replace("ORIGIN", world.origin).replace("PORT", str(origin.port)).replace("SHIM", str(port))
        await _apply(service, policy)
        put = secret_pb2.PutSecretRequest(name="bypass-key", value=SECRET, hosts=[world.origin])
        await service.call("Secret.PutSecret", put, "sam")
        client.decider.on_config(lambda config: configured.set() if config is not None and config.upstreams else None)
        await client.start()
        try:
            await asyncio.wait_for(configured.wait(), PATIENCE_S)
            loop.getaddrinfo = world.resolve  # type: ignore[method-assign]  # a resolver that the cases play
            yield world
        finally:
            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
            await shim.close(0)
            await client.close(PATIENCE_S)


async def _apply(service: Service, policy: str) -> None:
    await service.call("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=policy), "root")

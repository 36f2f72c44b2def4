"""Runs the real service, as `penstock-server serve` does, in the test's own event loop over a Unix socket."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from penstock.v1 import (
    action_pb2,
    approval_pb2_grpc,
    approver_pb2_grpc,
    audit_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    recording_pb2_grpc,
    secret_pb2,
    secret_pb2_grpc,
    shim_pb2,
    shim_pb2_grpc,
    token_pb2_grpc,
)
from penstock_server.config import Config
from penstock_server.identity import DEV_ISSUER, DevIssuer
from penstock_server.rpc.decision import NEEDED
from penstock_server.server import serve

__all__ = ["POLICY", "SECRET", "Service", "Shim", "an_ask", "another_node", "reason_of", "refund", "running_service"]

SECRET = "billing" + "-key-0123456789"

POLICY = """\
secrets: [billing-key]
upstreams:
  billing:
    url: https://billing.example
    credential: {secret: billing-key, header: x-api-key, format: "{}"}
rules:
  - name: reads
    match: {principals: [{group: agents}], upstreams: [billing], http: {methods: [GET]}}
    effect: allow
  - name: no-deletes
    match: {upstreams: [billing], http: {methods: [DELETE]}}
    effect: deny
    reason: nothing is deleted here
  - name: refunds
    match: {principals: [{group: agents}], upstreams: [billing], http: {methods: [POST], paths: ["/v1/refunds"]}}
    when: request.json.amount > 100
    effect: require_approval
    approval: {reviewers: [{group: approvers}], hold: 60s, grant: {uses: 1, ttl: 5m}}
  - name: small-refunds
    match: {principals: [{group: agents}], upstreams: [billing], http: {methods: [POST], paths: ["/v1/refunds"]}}
    when: request.json.amount <= 100
    effect: allow
"""

PEOPLE = {"root": "admins", "grace": "approvers", "bob": "approvers", "sam": "secrets", "aud": "auditors"}


def an_ask(number: int, method: str = "GET", path: str = "/v1/x", *, token: str, **http: Any) -> decision_pb2.Ask:
    """Returns the question of that number."""
    http.setdefault("body_state", action_pb2.BODY_STATE_NONE)
    request = action_pb2.HttpRequest(method=method, authority="billing.example", path=path, **http)
    action = action_pb2.Action(upstream="billing", http=request)
    return decision_pb2.Ask(call_id=f"{number:032x}", token=token, action=action, can_hold=True)


def refund(number: int, amount: int = 250, *, token: str, withheld: bool = False) -> decision_pb2.Ask:
    """Returns the question for a refund, with its body or without."""
    body = b"" if withheld else json.dumps({"amount": amount}).encode()
    state = action_pb2.BODY_STATE_WITHHELD if withheld else action_pb2.BODY_STATE_WHOLE
    headers = [action_pb2.Header(name="content-type", value=b"application/json")]
    return an_ask(number, "POST", "/v1/refunds", token=token, headers=headers, body=body, body_state=state)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Returns the reason in the ErrorInfo of an error."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # has what a call has
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


class Shim:
    """Is one open decision stream of an enrolled shim."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.configs: list[decision_pb2.ShimConfig] = []
        self.epoch = 0
        self._verdicts: list[decision_pb2.Verdict] = []

    async def read(self) -> Any:
        """Returns the next message that is more than a sign of life, grpc.aio.EOF at the end."""
        while (message := await asyncio.wait_for(self.stream.read(), 30)) is not grpc.aio.EOF:
            self.epoch = message.epoch
            if message.HasField("config"):
                self.configs.append(message.config)
            self._verdicts.extend(message.verdicts)
            if message.HasField("config") or message.verdicts:
                break
        return message

    async def write(self, *asks: decision_pb2.Ask, cancelled: tuple[int, ...] = ()) -> None:
        """Sends questions, and cancels calls by number."""
        names = [f"{number:032x}" for number in cancelled]
        await self.stream.write(decision_pb2.DecideStreamRequest(asks=asks, cancelled=names))

    async def verdict(self) -> decision_pb2.Verdict:
        """Returns the next verdict."""
        while not self._verdicts:
            assert await self.read() is not grpc.aio.EOF, "the stream ended"
        return self._verdicts.pop(0)

    async def ask(self, *asks: decision_pb2.Ask) -> list[decision_pb2.Verdict]:
        """Returns the verdicts on these questions, in their order."""
        await self.write(*asks)
        found = {verdict.call_id: verdict for verdict in [await self.verdict() for _ in asks]}
        return [found[ask.call_id] for ask in asks]

    async def cut(self) -> grpc.aio.AioRpcError:
        """Reads until the stream is cut; returns the error."""
        try:
            while await self.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the stream ended properly")


@dataclass
class Service:
    """Is a running service, seen from its clients."""

    config: Config
    channel: grpc.aio.Channel
    issuer: DevIssuer
    shim_token: str = ""
    opened: list[Shim] = field(default_factory=list)

    def token(self, subject: str, *groups: str, owner: str = "") -> str:
        """Returns a token that holds for an hour."""
        now = time.time_ns() // 1_000_000
        return self.issuer.issue(subject=subject, groups=groups, owner=owner, ttl_s=3600, now_ms=now)

    @property
    def agent(self) -> str:
        """Returns the token of agent bot, whose owner is olga."""
        return self.token("bot", "agents", owner="olga")

    def stub(self, module: Any, name: str) -> Any:
        """Returns the stub of a service."""
        return getattr(module, f"{name}Stub")(self.channel)

    def metadata(self, who: str) -> tuple[tuple[str, str], ...]:
        """Returns the credential of one of PEOPLE, or takes the text for a credential itself."""
        token = self.token(who, PEOPLE[who]) if who in PEOPLE else who
        return (("authorization", f"Bearer {token}"),)

    async def call(self, method: str, request: Any, who: str) -> Any:
        """Returns the answer of Service.Method; raises AioRpcError."""
        service, name = method.split(".")
        stub = self.stub(MODULES[service], f"{service}Service")
        return await getattr(stub, name)(request, metadata=self.metadata(who), timeout=30)

    async def prepare(self, policy: str = POLICY) -> None:
        """Applies the policy, stores the secret, enrols a shim."""
        await self.call("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=policy), "root")
        put = secret_pb2.PutSecretRequest(name="billing-key", value=SECRET.encode(), hosts=["billing.example"])
        await self.call("Secret.PutSecret", put, "sam")
        self.shim_token = await self.enrol("one")

    async def enrol(self, name: str) -> str:
        """Enrols a shim for everything; returns its credential."""
        request = shim_pb2.EnrolShimRequest(name=name, upstreams=["*"], groups=["*"])
        token: str = (await self.call("Shim.EnrolShim", request, "root")).token
        return token

    async def shim(self, token: str = "") -> Shim:
        """Opens a decision stream and takes its configuration."""
        stub = self.stub(decision_pb2_grpc, "DecisionService")
        shim = Shim(stub.DecideStream(metadata=self.metadata(token or self.shim_token)))
        self.opened.append(shim)
        await shim.stream.write(decision_pb2.DecideStreamRequest(hello=decision_pb2.Hello(capabilities=NEEDED)))
        await shim.read()
        return shim


@asynccontextmanager
async def another_node(first: Service, folder: Path, node: str) -> AsyncIterator[Service]:
    """Serves for a block in a process of its own, as another machine does: over the database and with the keys of the
    first service, under its own node name."""
    data = folder / "data"
    await asyncio.to_thread(shutil.copytree, first.config.data, data)
    sockets = Path(tempfile.mkdtemp(prefix="pst-"))
    config = replace(first.config, listen=(f"unix:{sockets / 's'}",), data=data, node=node)
    settings = {"listen": list(config.listen), "database": config.database, "data": str(data), "node": node}
    file = folder / "service.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    command = [sys.executable, "-m", "penstock_server.cli", "serve", "--config", str(file)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    channel = grpc.aio.insecure_channel(config.listen[0])
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        service = Service(config, channel, DevIssuer.open(data), first.shim_token)
        yield service
        for shim in service.opened:
            shim.stream.cancel()
    finally:
        await channel.close()
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        shutil.rmtree(sockets, ignore_errors=True)


MODULES = {
    "Policy": policy_pb2_grpc,
    "Secret": secret_pb2_grpc,
    "Shim": shim_pb2_grpc,
    "Token": token_pb2_grpc,
    "Approval": approval_pb2_grpc,
    "Approver": approver_pb2_grpc,
    "Audit": audit_pb2_grpc,
    "Recording": recording_pb2_grpc,
    "Decision": decision_pb2_grpc,
}


@asynccontextmanager
async def running_service(folder: Path, database_url: str, **settings: Any) -> AsyncIterator[Service]:
    """Serves for a block over that migrated database, with keys in the folder; then ends it as an operator does.

    settings: of the configuration, beside those.
    """
    sockets = Path(tempfile.mkdtemp(prefix="pst-"))  # a socket's path must be short
    config = Config((f"unix:{sockets / 's'}",), database_url, folder / "data", DEV_ISSUER, **settings)
    task = asyncio.create_task(serve(config))
    channel = grpc.aio.insecure_channel(config.listen[0])
    try:
        ready = asyncio.create_task(channel.channel_ready())
        await asyncio.wait([ready, task], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            ready.cancel()
            task.result()
        service = Service(config, channel, DevIssuer.open(config.data))
        yield service
        for shim in service.opened:
            shim.stream.cancel()
    finally:
        await channel.close()
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)  # taken by the service, whose handler is in place once it serves
            await asyncio.wait_for(task, 30)
        shutil.rmtree(sockets, ignore_errors=True)

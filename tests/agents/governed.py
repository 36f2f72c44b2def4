"""What the clients are driven through: relay, shim, service and Messages API, and what each of them saw."""

import json
import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from agents.messages import say
from agents.messages_api import MessagesApi
from agents.relay import Relay
from e2e.system import SHIM, System

__all__ = ["CAREFUL", "FORBIDDEN", "MODEL", "POLICY", "REASON", "RULE", "Governed"]

MODEL = "claude-sonnet-5"
FORBIDDEN = "forbidden-model"
CAREFUL = "careful-model"
RULE = "not-this-model"
REASON = "this model is not for agents of this house"
PATIENCE_S = 30
"""How long an approval request may take to appear, seconds."""

POLICY = f"""
secrets: [anthropic-key]
upstreams:
  anthropic:
    url: http://127.0.0.1:PORT
    addresses: private
    dialect: anthropic
    token_from: [x-api-key, authorization]
    credential: {{secret: anthropic-key, header: x-api-key, format: "{{}}"}}
rules:
  - name: agents-may-ask
    match:
      principals: [{{group: agents}}]
      upstreams: [anthropic]
      http: {{methods: [POST], paths: ["/v1/messages"]}}
    effect: allow
  - name: agents-may-look
    match: {{principals: [{{group: agents}}], upstreams: [anthropic], http: {{methods: [GET], paths: ["/v1/models"]}}}}
    effect: allow
  - name: {RULE}
    match: {{upstreams: [anthropic], http: {{methods: [POST], paths: ["/v1/messages"]}}}}
    when: request.json.model == "{FORBIDDEN}"
    effect: deny
    reason: {REASON}
  - name: careful-model-needs-a-person
    match: {{upstreams: [anthropic], http: {{methods: [POST], paths: ["/v1/messages"]}}}}
    when: request.json.model == "{CAREFUL}"
    effect: require_approval
    reason: a person looks at what this model is asked
    approval: {{reviewers: [{{group: approvers}}], hold: 60s, grant: {{uses: 1, ttl: 5m}}}}
  - name: answers-are-masked
    match: {{upstreams: [anthropic]}}
    effect: mask
    mask: [{{detectors: [all]}}]
"""


class Governed:
    """Runs the two deployed processes between a relay, where clients connect, and the Messages API."""

    def __init__(self, folder: Path) -> None:
        self.key = "upstream-key-" + secrets.token_hex(20)
        self.api = MessagesApi(self.key, lambda _: [say("hello")])
        self.system = System(folder, f"sqlite+aiosqlite:///{folder / 'penstock.db'}")
        self.relay: Relay | None = None
        self._seen = 0

    def start(self) -> None:
        """Starts all of it."""
        self.system.start(POLICY.replace("PORT", str(self.api.port)), {"anthropic-key": self.key})
        self.relay = Relay(int(self.system.url.rpartition(":")[2]))
        self.begin()

    def begin(self) -> None:
        """Forgets what was seen so far."""
        self.client.forget()
        self.api.requests.clear()
        self.decisions()

    def close(self) -> None:
        """Ends all of it."""
        if self.relay is not None:
            self.relay.close()
        self.system.stop()
        self.api.close()

    @property
    def client(self) -> Relay:
        """What the client sent and got."""
        assert self.relay is not None, "not started"
        return self.relay

    @property
    def url(self) -> str:
        """The base URL that a client is given."""
        return f"http://127.0.0.1:{self.client.port}/anthropic"

    @property
    def token(self) -> str:
        """The Penstock token that a client holds in the place of an API key."""
        return self.system.tokens["agent"]

    def decisions(self) -> list[dict[str, Any]]:
        """Returns the decisions that the audit log holds since the last call, oldest first."""
        listed = self.system.command("audit", "list", "--json", "--after", str(self._seen), token="auditor")
        entries = [json.loads(line) for line in listed.splitlines()]
        self._seen = max([self._seen, *(int(entry["seq"]) for entry in entries)])
        return [entry for entry in entries if entry["kind"] == "decision"]

    def approve(self) -> None:
        """Waits for a request for approval and approves it, as a person would at a terminal."""
        deadline = time.monotonic() + PATIENCE_S
        while not (listed := self._penstock("approvals", "list", "--json")):
            assert time.monotonic() < deadline, "no request for approval appeared"
            time.sleep(0.1)
        name = str(json.loads(listed.splitlines()[0])["name"])
        self._penstock("approvals", "approve", name, "--reason", "seen")

    def _penstock(self, *arguments: str) -> str:
        held = {"PENSTOCK_ADDRESS": self.system.address, "PENSTOCK_TOKEN": self.system.tokens["approver"]}
        done = subprocess.run(
            [*SHIM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **held}
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done.stdout.strip()

    def assert_only_the_shim_held_the_key(self) -> None:
        """Fails unless each request left the client with its token alone, and arrived with the real key alone.

        The bodies must have arrived byte for byte: the provider's signatures and its prompt cache depend on them.
        """
        key, token = self.key.encode(), self.token.encode()
        assert self.api.requests, "nothing reached the upstream"
        for sent, arrived in zip(self.client.requests, self.api.requests, strict=True):
            assert token in sent and key not in sent
            assert b"\r\nx-api-key: " + key + b"\r\n" in _lowered(arrived)
            assert arrived.count(key) == 1 and token not in arrived
            assert sent.partition(b"\r\n\r\n")[2] == arrived.partition(b"\r\n\r\n")[2]


def _lowered(request: bytes) -> bytes:
    """Returns a request with the names of its headers in lower case."""
    head, separator, body = request.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    return b"\r\n".join(name.lower() + colon + value for name, colon, value in lines) + separator + body

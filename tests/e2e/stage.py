"""The stage of the demo: service, shim and billing API as processes, an agent's requests, and each step's evidence."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from e2e.system import SHIM, System

__all__ = ["Answer", "DemoFailed", "Stage", "Step", "indented"]

PATIENCE_S = 30.0
"""How long something that must happen may take, seconds."""
AUDITED = ("seq", "kind", "method", "resource", "effect", "rules", "reason", "approval", "grant")
"""Fields of an audit entry that the transcript shows."""


class DemoFailed(Exception):
    """Says which claim of the demo did not hold."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds what the agent got; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Step:
    """Holds the evidence of one step: answers, raw requests that the upstream logged, audit entries."""

    title: str
    answers: list[Answer] = field(default_factory=list)
    upstream: list[bytes] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)


class Stage:
    """Runs the processes and prints the transcript; `steps` holds the evidence so far, `key` the upstream's API key."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        self.steps: list[Step] = []
        self.key = ""
        self.system = System(folder, f"sqlite+aiosqlite:///{folder / 'penstock.db'}")
        self._folder = folder
        self._out = out
        self._log = folder / "billing.log"
        self._billing: subprocess.Popen[str] | None = None
        self._seen_seq = 0
        self._seen_requests = 0

    def start(self, policy: str) -> None:
        """Starts all three; PORT in the policy becomes the billing API's port."""
        key_file = self._folder / "billing.key"
        command = [sys.executable, str(Path(__file__).with_name("billing.py")), "--port", "0"]
        command += ["--key-file", str(key_file), "--log", str(self._log)]
        self._billing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._billing.stdout is not None
        line = self._billing.stdout.readline()
        if not line.startswith("billing http://127.0.0.1:"):
            raise DemoFailed("the billing API did not start")
        port = line.rsplit(":", 1)[1].strip()
        self.key = key_file.read_text()
        policy = policy.replace("PORT", port)
        self.system.start(policy, {"billing-key": self.key})
        self._audit()
        self.say("Penstock demo: three processes on this machine, and an agent that holds only a Penstock token.\n")
        self.say(f"  billing API     http://127.0.0.1:{port}  (demands the API key {self.key} in x-api-key)")
        self.say(f"  policy service  {self.system.address}  (penstock-server serve, on SQLite)")
        self.say(f"  HTTP shim       {self.system.url}  (penstock http)\n\nThe policy:\n")
        self.say(indented(policy, 2))

    def close(self) -> None:
        """Ends the processes, each by its process id."""
        self.system.stop()
        if self._billing is not None:
            self._billing.kill()
            self._billing.wait(timeout=10)
            if self._billing.stdout is not None:
                self._billing.stdout.close()

    def logs(self) -> str:
        """Returns the last lines that service and shim wrote to standard error."""
        written = [self._folder / "service.log", self._folder / "shim.log"]
        tails = [(log.name, log.read_text().splitlines()[-20:]) for log in written if log.exists()]
        return "\n".join("\n".join([f"{name}:", *(f"  {line}" for line in lines)]) for name, lines in tails if lines)

    def say(self, text: str) -> None:
        """Prints one piece of the transcript."""
        print(text, file=self._out, flush=True)

    def step(self, title: str) -> Step:
        """Begins a step."""
        self.steps.append(Step(title))
        self.say(f"\n== {len(self.steps)}. {title}\n")
        return self.steps[-1]

    def check(self, holds: bool, claim: str) -> None:
        """Prints a claim that holds; raises DemoFailed if it does not."""
        if not holds:
            raise DemoFailed(f"step {len(self.steps)}: it is not true that {claim}")
        self.say(f"    ok: {claim}")

    def until(self, find: Callable[[], str], claim: str) -> str:
        """Returns what `find` returns once it is not empty; raises DemoFailed if that takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := find():
                self.check(True, claim)
                return found
            time.sleep(0.1)
        raise DemoFailed(f"step {len(self.steps)}: within {PATIENCE_S:.0f} s it did not become true that {claim}")

    def evidence(self, step: Step) -> None:
        """Notes and prints what the upstream logged since the last call, and the audit entries beside it."""
        logged = read_log(self._log)
        step.upstream += logged[self._seen_requests :]
        self._seen_requests = len(logged)
        step.audit += self._audit()
        self.say("\n    the upstream logged, raw:")
        for raw in step.upstream:
            self.say(indented(repr(raw)[2:-1].replace("\\r\\n", "\\r\\n\n").rstrip(), 8))
        if not step.upstream:
            self.say("        nothing")
        self.say("    the audit log, beside it:")
        for entry in step.audit:
            shown = {name: entry[name] for name in AUDITED if entry.get(name)}
            self.say(indented(json.dumps(shown, ensure_ascii=False), 8))
        self.say("")

    def _audit(self) -> list[dict[str, Any]]:
        """Returns the audit entries that are new since the last call."""
        output = self.system.command("audit", "list", "--json", token="auditor")
        entries = [entry for entry in _entries(output) if int(entry["seq"]) > self._seen_seq]
        self._seen_seq = max([self._seen_seq, *(int(entry["seq"]) for entry in entries)])
        return entries

    def ask(self, step: Step, method: str, path: str, body: object = None) -> Answer:
        """Sends one request as the agent, through the shim, and prints both sides of it."""
        url = urllib.parse.urlsplit(self.system.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        headers = {"authorization": f"Bearer {self.system.tokens['agent']}"}
        payload = None if body is None else json.dumps(body)
        if payload is not None:
            headers["content-type"] = "application/json"
        self.say(f"    agent> {method} {path}   (authorization: Bearer <Penstock token>)  {payload or ''}".rstrip())
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            answer = Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        except OSError as error:
            raise DemoFailed(f"the shim did not answer {method} {path}: {error}") from error
        finally:
            connection.close()
        step.answers.append(answer)
        self.say(f"    agent< {answer.status} {answer.headers.get('content-type', '')}")
        shown = answer.body.decode()
        self.say(indented(shown if len(shown) < 1500 else shown[:1200] + "\n[...]", 11))
        return answer

    def pending(self) -> str:
        listed = self.penstock("approvals", "list", "--json").splitlines()
        return str(json.loads(listed[0])["name"]) if listed else ""

    def penstock(self, *arguments: str) -> str:
        """Runs one command of the thin client as the approver."""
        done = subprocess.run(
            [*SHIM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={
                **os.environ,
                "PENSTOCK_ADDRESS": self.system.address,
                "PENSTOCK_TOKEN": self.system.tokens["approver"],
            },
        )
        if done.returncode != 0:
            raise DemoFailed(f"penstock {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def read_log(log: Path) -> list[bytes]:
    """Returns the raw requests in a log of the billing API."""
    if not log.exists():
        return []
    return re.split(rb"(?:\A|\n)--- request \d+ ---\n", log.read_bytes())[1:]


def indented(text: str, width: int) -> str:
    """Returns the text with each line moved to the right."""
    return "\n".join(" " * width + line for line in text.rstrip().splitlines())


def _entries(output: str) -> list[dict[str, Any]]:
    """Returns the entries of `audit list --json`: one JSON object a line."""
    return [json.loads(line) for line in output.splitlines() if line.strip()]

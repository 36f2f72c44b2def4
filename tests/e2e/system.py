"""Starts the two processes that are deployed, `penstock-server serve` and `penstock http`, for end-to-end tests."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["System", "await_line"]

START_S = 30.0
"""How long a process may take to say that it is ready, seconds."""

SERVER = [sys.executable, "-m", "penstock_server.cli"]
SHIM = [sys.executable, "-m", "penstock.cli"]


class System:
    """Runs a policy service over one database, and one HTTP shim in front of it; every call is a real command."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(mode=0o700, parents=True)
        self.sockets = Path(tempfile.mkdtemp(prefix="pst-"))
        self.address = f"unix:{self.sockets / 's.sock'}"
        self.database_url = database_url
        self.service: subprocess.Popen[str] | None = None
        self.shim: subprocess.Popen[str] | None = None
        self.url = ""
        self.tokens: dict[str, str] = {}
        (folder / "service.toml").write_text(
            f'listen = ["{self.address}"]\ndatabase = "{database_url}"\ndata = "{self.data}"\n'
            "unsafe_secret_hosts_from_policy = true\n"
        )

    def command(self, *arguments: str, token: str = "", stdin: str = "", status: int = 0) -> str:
        """Runs one penstock-server command; returns its output, fails unless it ends with that status."""
        environment = {**os.environ, "PENSTOCK_ADDRESS": self.address, "PENSTOCK_TOKEN": self.tokens.get(token, "")}
        done = subprocess.run(
            [*SERVER, *arguments], input=stdin, capture_output=True, text=True, timeout=60, env=environment
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, policy: str, secrets: dict[str, str]) -> None:
        """Migrates, starts the service, enrols a shim, applies the policy, stores the secrets and starts the shim."""
        self.command("migrate", "--database", self.database_url)
        self.start_service()
        for name, group in [
            ("agent", "agents"),
            ("approver", "approvers"),
            ("admin", "admins"),
            ("secrets", "secrets"),
            ("auditor", "auditors"),
        ]:
            issued = self.command("token", "issue", "--data", str(self.data), "--subject", name, "--group", group)
            self.tokens[name] = issued.strip()
        token_file = self.folder / "shim.token"
        token_file.touch(mode=0o600)
        token_file.write_text(
            self.command("shims", "enrol", "one", "--upstream", "*", "--group", "*", token="admin").strip()
        )
        policy_file = self.folder / "policy.yaml"
        policy_file.write_text(policy)
        self.command("policy", "apply", str(policy_file), token="admin")
        for name, value in secrets.items():
            self.command("secret", "put", name, token="secrets", stdin=value)
        (self.folder / "shim.toml").write_text(
            f'service = "{self.address}"\ntoken_file = "{token_file}"\nlisten = "127.0.0.1:0"\n'
        )
        self.shim = _spawn([*SHIM, "http", "--config", str(self.folder / "shim.toml")], self.folder / "shim.log")
        self.url = await_line(self.shim, "ready").split()[-1]

    def start_service(self) -> None:
        """Starts the policy service and waits until it serves."""
        log = self.folder / "service.log"
        self.service = _spawn([*SERVER, "serve", "--config", str(self.folder / "service.toml")], log)
        await_line(self.service, "ready")

    def kill_service(self) -> None:
        """Kills the policy service with SIGKILL."""
        assert self.service is not None
        self.service.kill()
        self.service.wait(timeout=10)
        if self.service.stdout is not None:
            self.service.stdout.close()

    def stop(self) -> None:
        """Ends both processes by their process ids; they must end within ten seconds of SIGTERM."""
        for process in (self.shim, self.service):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(timeout=10)
            if process is not None and process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(self.sockets, ignore_errors=True)


def _spawn(command: list[str], log: Path) -> subprocess.Popen[str]:
    with log.open("a") as errors:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)


def await_line(process: "subprocess.Popen[str]", word: str, patience_s: float = START_S) -> str:
    """Returns the first line of standard output that starts with the word; asserts that it comes in time.

    Reads the descriptor itself: lines that come together would wait unseen in a buffer.
    """
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + patience_s
    seen = b""
    while time.monotonic() < deadline:
        readable, _, _ = select.select([descriptor], [], [], 0.2)
        if not readable:
            continue
        data = os.read(descriptor, 65536)
        assert data, f"ended with {process.poll()} before it was {word}"
        seen += data
        for line in seen.decode(errors="replace").splitlines(keepends=True):
            if line.startswith(word) and line.endswith("\n"):
                return line.strip()
    raise AssertionError(f"no line '{word}' within {patience_s} s")

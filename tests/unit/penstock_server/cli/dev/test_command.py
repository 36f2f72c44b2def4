"""penstock-server dev, as the real command with its two real processes."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from penstock_server.cli import cli
from penstock_server.cli.dev import command
from penstock_server.cli.dev.folder import DevFolder

START_S = 60.0
"""How long a start may take on a busy machine, seconds."""


class Dev:
    """Runs `penstock-server dev` on a folder, with its output in two files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.out, self.err = folder.with_name(folder.name + ".out"), folder.with_name(folder.name + ".err")
        line = ["dev", "--data", str(folder), "--http", "127.0.0.1:0", *arguments]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock_server.cli", *line], stdout=out, stderr=err
            )

    def until(self, pattern: str, file: Path) -> re.Match[str]:
        """Returns the first match in the file, once it is there."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if found := re.search(pattern, file.read_text(), re.MULTILINE):
                return found
            assert self.process.poll() is None, self.shown()
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in: {self.shown()}")

    def ready(self) -> tuple[int, int]:
        """Waits until it serves; returns the process ids of service and shim."""
        self.until(r"^ready$", self.out)
        found = self.until(r"service (\d+), shim (\d+)", self.out)
        return int(found[1]), int(found[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def shown(self) -> str:
        """Returns all output."""
        return self.out.read_text() + self.err.read_text()


@pytest.fixture
def folder(short_folder: Path) -> Path:
    """Names a folder that does not exist yet."""
    return short_folder / "data"


@pytest.fixture
def dev(folder: Path) -> Iterator[Dev]:
    """Runs dev on a new folder, and ends it if the test has not."""
    it = Dev(folder)
    yield it
    if it.process.poll() is None:
        it.end()


def audit(folder: Path) -> list[dict[str, object]]:
    """Returns the audit log, as the auditor of the set-up."""
    result = CliRunner().invoke(cli, ["audit", "list", "--json", "--dev", str(folder)])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def gone(pid: int) -> bool:
    """Waits until there is no such process; tells whether that came."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if (
            Path(f"/proc/{pid}/stat").exists()
            and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        ):
            return True  # nobody reaps orphans in a container without an init
        time.sleep(0.02)
    return False


def test_a_set_up_serves_ends_and_starts_again(dev: Dev, folder: Path) -> None:
    """Files and modes are as documented; each role's token works; a second start keeps shim, policy and audit log."""
    pids = dev.ready()
    written = json.loads((folder / "dev.json").read_text())
    assert written.keys() == {"service", "http", "tokens"}
    assert written["tokens"].keys() == {"agent", "approver", "admin", "secrets", "auditor"}
    assert "COOPERATIVE MODE" in dev.shown()
    assert all(token not in dev.shown() for token in written["tokens"].values())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    open_files = [path.name for path in folder.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert [name for name in open_files if not name.startswith("penstock.db")] == []
    for arguments in (["policy", "revisions"], ["secret", "list"], ["shims", "list"], ["audit", "list"]):
        assert CliRunner().invoke(cli, [*arguments, "--dev", str(folder)]).exit_code == 0
    entries = audit(folder)
    assert dev.end() == 0
    assert all(gone(pid) for pid in pids)
    token = (folder / "shim.token").read_text()

    again = Dev(folder)
    try:
        again.ready()
        assert (folder / "shim.token").read_text() == token
        assert audit(folder)[: len(entries)] == entries
        assert [entry["kind"] for entry in audit(folder)].count("policy.applied") == 1
        second = subprocess.run(
            [sys.executable, "-m", "penstock_server.cli", "dev", "--data", str(folder)],
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: another penstock-server dev (process {again.process.pid}) uses")
    finally:
        assert again.end(signal.SIGINT) == 0


def test_a_child_that_dies_is_started_again(dev: Dev, folder: Path) -> None:
    """Killed, each comes back, on the same address; what was in the audit log stays."""
    service, shim = dev.ready()
    before = audit(folder)
    url = json.loads((folder / "dev.json").read_text())["http"]
    os.kill(service, signal.SIGKILL)
    dev.until(r"^the service ended \(signal 9\); starting it again in", dev.err)
    dev.until(r"^the service serves again$", dev.err)
    assert audit(folder)[: len(before)] == before
    os.kill(shim, signal.SIGKILL)
    assert dev.until(r"^the shim serves again on (\S+)$", dev.err)[1] == url
    assert dev.end() == 0


def test_a_killed_dev_leaves_nothing_behind(dev: Dev, folder: Path) -> None:
    """SIGKILL to dev ends both processes too, and the folder can be used at once."""
    pids = dev.ready()
    dev.end(signal.SIGKILL)
    assert all(gone(pid) for pid in pids)
    again = Dev(folder)
    again.ready()
    assert again.end() == 0


def test_a_bad_policy_is_refused_with_its_lines(short_folder: Path, folder: Path) -> None:
    """The start fails, every problem has its line, and no process stays."""
    file = short_folder / "policy.yaml"
    file.write_text("upstreams: {}\nruules: []\n")
    dev = Dev(folder, "--policy", str(file))
    assert dev.process.wait(timeout=START_S) == 1
    assert "error: " in dev.shown()
    assert "ruules" in dev.shown()
    assert "line 2" in dev.shown()
    assert "Traceback" not in dev.shown()
    assert not (folder / "dev.json").exists()
    assert "ready" not in dev.out.read_text()


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:8642", "localhost:65535", "0.0.0.0:80"])
def test_listeners_are_host_and_port(text: str) -> None:
    """They are kept as written."""
    assert command._host_port(text) == text


@pytest.mark.parametrize("text", ["", "8642", ":8642", "h:", "h:65536", "::1:80", "h:8o", "a b:1", "http://h:1"])
def test_other_listeners_are_wrong_usage(text: str) -> None:
    """A URL, a bare port and IPv6 without brackets are refused before anything is made."""
    with pytest.raises(click.BadParameter):
        command._host_port(text)


def test_listening_beyond_loopback_is_said_loudly() -> None:
    """Everybody on the network could then read the tokens."""
    folder = DevFolder(Path("/d"), Path("/d/service.sock"))
    assert "BEYOND LOOPBACK" in command._welcome(folder, "http://0.0.0.0:80", 1, "")
    assert "BEYOND LOOPBACK" not in command._welcome(folder, "http://127.0.0.1:80", 1, "")

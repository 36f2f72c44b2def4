"""`penstock http` as a process, with a listener that stands in for the data path."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unit.penstock._client.fake_service import CONFIG, running_service

pytestmark = pytest.mark.anyio

PROGRAM = """
import asyncio, sys
from dataclasses import dataclass
import penstock.http

@dataclass(frozen=True)
class Limits:
    head_bytes: int = 1

class HttpShim:
    def __init__(self, decider, recorder, limits=Limits(), upstream_tls=None):
        print("limits", limits.head_bytes, "tls", upstream_tls is not None, file=sys.stderr)
    async def start(self, *addresses):
        host, _, port = addresses[0].rpartition(":")
        try:
            self.server = await asyncio.start_server(lambda r, w: w.close(), host, int(port))
        except OSError as error:
            error.filename = addresses[0]
            raise
        return ["http://%s:%d" % self.server.sockets[0].getsockname()[:2]]
    async def close(self, drain_s):
        self.server.close()
        print("drained", file=sys.stderr)

penstock.http.HttpShim, penstock.http.Limits = HttpShim, Limits
from penstock.cli import main
main()
"""


def configure(folder: Path, address: str, listen: str = "127.0.0.1:0", more: str = "") -> Path:
    """Writes a configuration and its token; returns the configuration's path."""
    token = folder / "token"
    token.write_text("psh" + "_x")
    token.chmod(0o600)
    path = folder / "shim.toml"
    path.write_text(f'service = "{address}"\ntoken_file = "token"\nlisten = "{listen}"\n{more}')
    return path


@contextlib.asynccontextmanager
async def shim(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs the command for a block."""
    pipe = asyncio.subprocess.PIPE
    arguments = [sys.executable, "-c", PROGRAM, "http", "--config", str(path)]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Waits for the end; returns the exit code and the rest of both outputs."""
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def test_ready_is_said_after_the_first_configuration_and_a_signal_drains(tmp_path: Path) -> None:
    """The listener is open before; the line names it; SIGTERM ends with 0 after draining."""
    path = configure(tmp_path, f"unix:{tmp_path / 's'}", more="[limits]\nhead_bytes = 5\n")
    async with running_service(tmp_path) as service, shim(path) as process:
        assert process.stdout is not None
        stream = await service.decision_stream()
        assert stream.metadata["authorization"] == "Bearer " + "psh" + "_x"
        line = asyncio.create_task(process.stdout.readline())
        await stream.next()
        assert not line.done()
        stream.send(CONFIG)
        ready = (await asyncio.wait_for(line, 10)).decode()
        assert ready.startswith("ready http://127.0.0.1:")
        with socket.create_connection(("127.0.0.1", int(ready.rsplit(":", 1)[1])), 10):
            pass
        process.send_signal(signal.SIGTERM)
        code, out, err = await ended(process)
        assert (code, out) == (0, "")
        assert err.split("\n")[:2] == ["limits 5 tls False", "drained"]


async def test_a_signal_before_the_configuration_ends_with_0_and_never_ready(tmp_path: Path) -> None:
    """A shim that waits for its service can be stopped."""
    path = configure(tmp_path, f"unix:{tmp_path / 's'}")
    async with running_service(tmp_path) as service, shim(path) as process:
        await service.decision_stream()
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
        assert (code, out, "drained" in err) == (0, "", True)


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    """The process ends with 1 and says where it could not listen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with shim(configure(tmp_path, "unix:/x", f"127.0.0.1:{port}")) as process:
            code, _, err = await ended(process)
    assert code == 1
    assert f"penstock: cannot listen on 127.0.0.1:{port}: " in err and "Traceback" not in err


async def test_listening_for_other_machines_is_warned_of(tmp_path: Path) -> None:
    """An agent's container is another machine: allowed where it is meant, and said."""
    path = configure(tmp_path, f"unix:{tmp_path / 's'}", "0.0.0.0:0", "unsafe_plain_listen = true\n")
    async with running_service(tmp_path) as service, shim(path) as process:
        await service.decision_stream()
        process.send_signal(signal.SIGTERM)
        _, _, err = await ended(process)
    assert "penstock: warning: 0.0.0.0:0 is reachable from elsewhere in plain HTTP" in err


async def test_a_bad_configuration_ends_with_2_before_anything_starts(tmp_path: Path) -> None:
    """Every problem is one line; a token that others can read is one of them."""
    path = configure(tmp_path, "unix:/x", more="listn = 1\n[limits]\nhead = 1\n")
    (tmp_path / "token").chmod(0o644)
    async with shim(path) as process:
        code, out, err = await ended(process)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 3 and all(line.startswith(f"penstock: {path}: ") for line in lines)
    assert "did you mean listen?" in err and "mode 0644" in err and "limits.head is not a key" in err


async def test_authorities_of_upstreams_must_be_certificates(tmp_path: Path) -> None:
    """A file without a certificate is refused at start, not at the first request."""
    (tmp_path / "ca.pem").write_text("nothing")
    path = configure(tmp_path, "unix:/x", more='upstream_ca = "ca.pem"\n')
    async with shim(path) as process:
        code, _, err = await ended(process)
    assert (code, err) == (2, f"penstock: {tmp_path / 'ca.pem'}: holds no certificate in PEM form\n")

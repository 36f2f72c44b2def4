"""What the README tells a newcomer to type is real: targets and commands exist, and the first real use works."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.billing import CARD, EMAIL
from e2e.system import await_line

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
READMES = sorted([ROOT / "README.md", *ROOT.glob("*/README.md")])
PATIENCE_S = 60
"""How long one program may take, seconds."""

CURL = """\
#!{python}
'''Stands for curl, which a machine need not have: -s, -X, -H, -d and a URL.'''
import getopt, http.client, sys, urllib.parse
options, (url,) = getopt.gnu_getopt(sys.argv[1:], "sX:H:d:")
parts = urllib.parse.urlsplit(url)
body = dict(options).get("-d")
headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
connection.request(dict(options).get("-X", "POST" if body else "GET"), parts.path, body, headers)
answer = connection.getresponse()
print(answer.status, answer.read().decode(), flush=True)
"""
FIRST = """\
first() {
  until penstock approvals list --json | grep -o 'apr_[A-Za-z0-9_-]*' | head -n 1 | grep .; do sleep 0.2; done
}
"""
"""Waits for the approval request and prints its name: what a person reads off the list."""


def _blocks() -> list[tuple[str, str]]:
    """Returns (information line, content) of the fenced blocks of the main README, in order."""
    found = re.findall(r"^```(.*?)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [(information.strip(), content) for information, content in found]


def _block(information: str) -> str:
    """Returns the only block with that information line."""
    (content,) = (content for found, content in _blocks() if found == information)
    return content


def _commands() -> list[str]:
    """Returns every shell line in any README, comments off, continued lines joined."""
    text = "\n".join(path.read_text() for path in READMES)
    shell = re.findall(r"^```sh.*?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    inline = [code for code in re.findall(r"`([^`\n]+)`", text) if code.startswith(("make ", "penstock"))]
    lines = "\n".join(shell).replace("\\\n", " ").splitlines() + inline
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def _invocations() -> list[str]:
    """Returns each distinct `PROGRAM SUBCOMMAND...` of ours that a README names."""
    words = re.findall(r"(?:^|[ (])(penstock(?:-server)?(?: [a-z][a-z-]*)+)", "\n".join(_commands()), re.MULTILINE)
    return sorted({_known_part(found) for found in words})


def _known_part(invocation: str) -> str:
    """Returns program and subcommand without what are its arguments: groups take one more word, others none."""
    program, *rest = invocation.split()
    groups = {"policy", "secret", "token", "audit", "approvals", "shims"}
    return " ".join([program, *rest[: 2 if rest[0] in groups else 1]])


def test_every_make_target_in_a_readme_exists() -> None:
    """`make X` names a target that `make help` lists."""
    listed = {line.split()[0] for line in _run(["make", "-C", str(ROOT), "--no-print-directory", "help"]).splitlines()}
    named = {target for line in _commands() for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", line)}
    assert named >= {"demo", "run", "test"}
    assert named - listed == set()


@pytest.mark.parametrize("invocation", _invocations())
def test_every_command_in_a_readme_exists(invocation: str) -> None:
    """Each subcommand answers --help."""
    program, *rest = invocation.split()
    assert "Usage:" in _run([str(BIN / program), *rest, "--help"])


def test_every_link_in_a_readme_leads_somewhere() -> None:
    """Relative links name files that exist."""
    links = [(path, link) for path in READMES for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text())]
    assert [(path.name, link) for path, link in links if not (path.parent / link).exists()] == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """Makes a folder whose path is short enough for a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="pst-") as name:
        yield Path(name)


@pytest.mark.timeout(240)
def test_the_first_real_use_works_as_it_is_written(folder: Path) -> None:
    """The blocks of "First real use", typed into terminals: masked, refused, held, approved, listed."""
    upstream_port, shim_port = _free_ports(2)
    ports = {"9000": str(upstream_port), "8642": str(shim_port)}
    (folder / "policy.yaml").write_text(_with(_block("yaml"), ports))
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / ".venv").symlink_to(BIN.parent)
    curl = folder / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL.format(python=sys.executable))
    curl.chmod(0o755)
    make_run = _run(
        ["make", "-C", str(ROOT), "--no-print-directory", "-n", *_block("sh run").split()[1:]]
    ).splitlines()[-1]
    with (
        _program(_with(_block("sh upstream"), ports).replace("python tests", "exec python tests"), "billing", folder),
        _program(f"exec {make_run} --http 127.0.0.1:{shim_port}", "ready", folder),
    ):
        script = "".join(_block(f"sh {terminal}") for terminal in ("agent", "approver", "auditor"))
        script = FIRST + _with(script, ports).replace("apr_...", '"$(first)"').replace(
            "penstock-server audit", "wait\npenstock-server audit"
        )
        output = _run(["bash", "-euo", "pipefail", "-c", script], folder)
    assert "200 " in output and '"plan": "yearly"' in output and "«" in output
    assert EMAIL not in output and CARD not in output
    assert "403 {" in output and '"no_rule"' in output
    assert '201 {"refund": "ref_1"' in output
    assert re.search(r"allow .*POST +/v1/refunds", output)


def _with(text: str, replacements: dict[str, str]) -> str:
    """Returns the text with each former string replaced; every one must occur."""
    for former, new in replacements.items():
        text = text.replace(former, new)
    return text


def _free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def _program(script: str, ready: str, folder: Path) -> Iterator[None]:
    """Runs a shell script until it has printed a line that starts with `ready`, and ends it afterwards."""
    log = folder / f"{ready}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            ["bash", "-c", script],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=_environment(folder),
        )
    try:
        try:
            await_line(process, ready, PATIENCE_S)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{textwrap.indent(script, '  ')}\n{log.read_text()}") from None
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _environment(folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**own, "PATH": f"{folder / 'bin'}:{BIN}:{own.get('PATH', '')}", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}


def _run(command: list[str], folder: Path = ROOT) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        cwd=folder,
        env=_environment(folder),
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout

"""Fixtures of the real clients: what they are driven through, and an environment in which they talk to nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.governed import Governed
from agents.messages import say
from e2e.origin import Origin

INHERITED = ("ANTHROPIC_", "CLAUDE", "PENSTOCK_", "MCP_", "OTEL_", "NODE_", "BUN_")
"""Beginnings of variables by which a developer's own set-up would reach the clients."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    """Runs service, shim and Messages API once for all tests that leave them running."""
    yield from _run(tmp_path_factory.mktemp("governed"))


@pytest.fixture
def governed(running: Governed, quiet: None) -> Governed:
    """Gives a test the running processes, with empty logs, and a model that says hello at once."""
    running.begin()
    running.api.model = lambda _: [say("hello")]
    running.api.pace = lambda _: None
    return running


@pytest.fixture
def doomed(tmp_path: Path, quiet: None) -> Iterator[Governed]:
    """Runs processes of its own for a test that stops the service."""
    yield from _run(tmp_path / "doomed")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Takes the developer's settings away; fails if a client asked the proxy, where all but loopback goes."""
    for name in list(os.environ):
        if name.upper().startswith(INHERITED) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    proxy = Origin(lambda _: b"")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name, folder in (("HOME", home), ("XDG_CONFIG_HOME", home / "config"), ("XDG_CACHE_HOME", home / "cache")):
        monkeypatch.setenv(name, str(folder))
    yield
    proxy.close()
    assert [request.partition(b"\r\n")[0] for request in proxy.requests] == []


def _run(folder: Path) -> Iterator[Governed]:
    folder.mkdir(exist_ok=True)
    started = Governed(folder)
    try:
        started.start()
        yield started
    finally:
        started.close()

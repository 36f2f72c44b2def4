"""Supervision, with small programs for the service and the shim."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from penstock_server.cli.dev import child as child_module
from penstock_server.cli.dev.child import Backoff, Child
from penstock_server.cli.failure import Failure

pytestmark = pytest.mark.anyio

SERVES = "import time\nprint('ready http://127.0.0.1:5', flush=True)\nwhile True: time.sleep(1)"


class Said:
    """Collects lines for people, and lets a test wait for one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def until(self, part: str) -> str:
        """Returns the first line with that part."""
        async with asyncio.timeout(30):
            while True:
                for line in self.lines:
                    if part in line:
                        return line
                self._news.clear()
                await self._news.wait()


class Impatient(Backoff):
    """Waits hardly at all."""

    FIRST_S, MOST_S = 0.01, 0.02


def a_child(program: str, said: Said) -> Child:
    """Makes a child that runs a Python program."""
    return Child("service", [sys.executable, "-c", program], said, Impatient())


async def test_start_returns_what_follows_ready() -> None:
    """Lines before "ready" are repeated; the rest of the ready line is the answer."""
    said = Said()
    child = a_child("print('already here')\nprint('hello\\x1b')\n" + SERVES, said)
    try:
        assert await child.start() == "http://127.0.0.1:5"
    finally:
        await child.stop()
    assert said.lines == ["service: already here", "service: hello\\x1b"]


async def test_a_child_that_ends_before_it_is_ready_fails_the_start() -> None:
    """The exit status is named."""
    child = a_child("import sys; print('no'); sys.exit(7)", Said())
    with pytest.raises(Failure, match=r"the service ended before it was ready \(exit status 7\)"):
        await child.start()


async def test_a_child_that_says_nothing_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped, and the failure says for how long it was awaited."""
    monkeypatch.setattr(child_module, "READY_S", 0.2)
    child = a_child("import time; time.sleep(1000)", Said())
    with pytest.raises(Failure, match="the service was not ready within 0 s"):
        await child.start()
    assert child.pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


async def test_a_child_that_dies_is_started_again() -> None:
    """Its death and its return are said, and the new process is another one."""
    said = Said()
    child = a_child(SERVES, said)
    await child.start()
    first = child.pid
    assert first is not None
    watch = asyncio.ensure_future(child.supervise())
    try:
        os.kill(first, signal.SIGKILL)
        assert await said.until("ended (signal 9)") == "the service ended (signal 9); starting it again in 0.01 s"
        assert await said.until("serves again") == "the service serves again on http://127.0.0.1:5"
        assert child.pid != first
    finally:
        watch.cancel()
        await child.stop()


async def test_a_child_that_cannot_come_back_is_tried_again(tmp_path: Path) -> None:
    """A failed restart is not the end: the next one may work."""
    said = Said()
    mark = tmp_path / "mark"
    program = f"import pathlib, sys\nmark = pathlib.Path({str(mark)!r})\n" + (
        "tries = len(mark.read_text()) if mark.exists() else 0\n"
        "mark.write_text('x' * (tries + 1))\n"
        "if tries == 1: sys.exit(3)\n" + SERVES
    )
    child = a_child(program, said)
    await child.start()
    watch = asyncio.ensure_future(child.supervise())
    try:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await said.until("ended before it was ready (exit status 3)")
        await said.until("serves again")
    finally:
        watch.cancel()
        await child.stop()


async def test_stop_ends_the_process_by_its_id() -> None:
    """SIGTERM is enough for a child that heeds it; its last words are repeated."""
    said = Said()
    program = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
    child = a_child(program + SERVES, said)
    await child.start()
    assert child.pid is not None
    await child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert said.lines == ["service: bye"]
    await child.stop()


async def test_a_child_that_does_not_heed_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace time it is SIGKILL, and this is said."""
    monkeypatch.setattr(child_module, "STOP_S", 0.2)
    said = Said()
    child = a_child("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES, said)
    await child.start()
    assert child.pid is not None
    await child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert said.lines == ["the service did not end within 0 s and is killed"]


async def test_stop_before_start_does_nothing() -> None:
    """A set-up that fails early stops what it never started."""
    child = a_child(SERVES, Said())
    await child.stop()
    assert child.pid is None


async def test_a_flood_of_output_does_not_block_the_child() -> None:
    """What a child writes is read for as long as it lives, lines of any length."""
    said = Said()
    flood = "import sys\nprint('ready', flush=True)\nprint('x' * 300000)\nprint('done', flush=True)\nsys.stdin.read()\n"
    child = a_child(flood + SERVES, said)
    assert await child.start() == ""
    await said.until("service: done")
    await child.stop()
    assert "service: (a line that is too long)" in said.lines


async def test_a_child_sees_no_penstock_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither tokens nor addresses of the person's shell reach the processes."""
    monkeypatch.setenv("PENSTOCK_TOKEN", "t" * 20)
    said = Said()
    child = a_child("import os\nprint([k for k in os.environ if 'PENSTOCK' in k])\n" + SERVES, said)
    await child.start()
    await child.stop()
    assert said.lines == ["service: []"]


async def test_a_child_is_out_of_reach_of_the_terminal() -> None:
    """Ctrl-C goes to dev alone, which then ends both in order: each child leads a session of its own."""
    child = a_child(SERVES, Said())
    await child.start()
    try:
        assert child.pid is not None
        assert os.getsid(child.pid) == child.pid
    finally:
        await child.stop()


def test_waits_double_up_to_a_limit_and_begin_anew() -> None:
    """A child that crashes at once is not started in a tight loop; one that ran a minute gets a quick restart."""
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [backoff.after(61), backoff.after(1)] == [0.5, 1]

"""Children that end with their parent."""

import os
import subprocess
import sys
from pathlib import Path

from penstock_server.cli.dev import tied

TIED = tied.__file__


def test_the_command_keeps_the_process_id() -> None:
    """The supervisor signals the command itself, not a wrapper of it."""
    command = [sys.executable, TIED, str(os.getpid()), sys.executable, "-c", "import os; print(os.getpid())"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, f"{process.pid}\n")


def test_an_orphan_does_not_start() -> None:
    """If the parent died before the tie, the command never runs."""
    command = [sys.executable, TIED, "1", sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_the_command_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL to the parent reaches the child as SIGTERM: its pipe closes, and its last word is that it was ended."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, subprocess, sys, signal\n"
        "child = 'import signal, sys, time\\n'\\\n"
        "  'signal.signal(signal.SIGTERM, lambda *_: (print(\"ended\", flush=True), sys.exit(0)))\\n'\\\n"
        "  'print(\"up\", flush=True)\\n'\\\n"
        "  'while True: time.sleep(1)'\n"
        f"subprocess.Popen([sys.executable, {TIED!r}, str(os.getpid()), sys.executable, '-c', child])\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    parent.kill()
    parent.wait(timeout=10)
    with parent.stdout:
        assert parent.stdout.read() == "ended\n"

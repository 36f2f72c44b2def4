"""The process of a shim."""

import asyncio
import subprocess
import sys

import pytest
import uvloop

from penstock.cli.process import run


def test_work_runs_on_uvloop_and_returns_its_result() -> None:
    """The data path is measured on uvloop."""

    async def work() -> bool:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    assert run(work())


def test_what_the_work_raises_is_raised() -> None:
    """Failures reach the command."""

    async def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        run(work())


def test_the_process_is_made_non_dumpable_where_that_exists() -> None:
    """On Linux prctl(PR_GET_DUMPABLE) answers 0 afterwards; elsewhere the answer is an honest no."""
    code = (
        "import ctypes, sys\nfrom penstock.cli.process import forbid_dumps\n"
        "print(forbid_dumps(), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == 'linux' else '')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == (["True", "0"] if sys.platform == "linux" else ["False"])

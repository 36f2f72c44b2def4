"""The entry point of the process."""

import subprocess
import sys

from penstock_server import __version__


def test_the_module_runs_as_a_program() -> None:
    """`python -m penstock_server.cli` is the same as `penstock-server`, with its name in the messages."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock_server.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"penstock-server {__version__}\n"


def test_the_exit_code_reaches_the_shell() -> None:
    """Wrong usage ends the process with 2 and one line, without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock_server.cli", "audit", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": ""},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no address: set PENSTOCK_ADDRESS, or give --address or --dev\n"

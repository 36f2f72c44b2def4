"""The command as a whole."""

import subprocess
import sys

from click.testing import CliRunner

from penstock import __version__
from penstock.cli.program import program


def test_help_names_the_commands_and_the_exit_codes() -> None:
    """A newcomer finds both from --help."""
    shown = CliRunner().invoke(program, ["--help"])
    assert shown.exit_code == 0
    for text in ("approvals", "http", "3  policy service not reachable", "4  not authenticated or not permitted"):
        assert text in shown.output


def test_help_imports_neither_grpc_nor_the_data_path() -> None:
    """Only what a command needs is loaded, so that --help is quick."""
    code = (
        "import sys\nfrom penstock.cli.program import program\n"
        "try:\n    program(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('grpc', 'httptools', 'hyperscan', 'uvloop') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_can_be_run() -> None:
    """python -m penstock.cli is the command."""
    done = subprocess.run([sys.executable, "-m", "penstock.cli", "--version"], capture_output=True, text=True)
    assert (done.returncode, __version__ in done.stdout) == (0, True)
    wrong = subprocess.run([sys.executable, "-m", "penstock.cli", "nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2

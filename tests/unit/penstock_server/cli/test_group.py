"""The root command."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from penstock_server.cli.group import COMMANDS, cli
from penstock_server.domain.errors import Code, PenstockError

PLANTED = "hunter" + "2-planted"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_loads(name: str) -> None:
    """Each entry names a command whose help works and begins as the table says it does."""
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: cli {name}" in result.output


def test_help_documents_commands_and_exit_codes() -> None:
    """A person finds every command, and a program every exit code."""
    output = CliRunner().invoke(cli, ["-h"]).output
    for name in COMMANDS:
        assert f"\n  {name} " in output
    for line in ("0  done", "1  refused", "2  wrong usage", "3  the service cannot", "4  not authenticated"):
        assert line in output


def test_help_loads_neither_grpc_nor_the_store() -> None:
    """Help is fast because nothing heavy is imported for it."""
    code = (
        "import sys; from penstock_server.cli.group import cli; cli.main(['--help'], standalone_mode=False); "
        "sys.exit(bool({'grpc', 'sqlalchemy', 'alembic', 'cryptography'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0


def test_an_unknown_command_is_wrong_usage() -> None:
    """A misspelt command is exit code 2."""
    result = CliRunner().invoke(cli, ["polcy"])
    assert result.exit_code == 2
    assert "No such command 'polcy'" in result.stderr


@pytest.mark.parametrize(
    ("raised", "exit_code", "line"),
    [
        (PenstockError(Code.INVALID, "R", "the file is wrong"), 2, "error: the file is wrong\n"),
        (FileNotFoundError(2, "No such file", "/x"), 1, "error: /x: No such file\n"),
    ],
)
def test_errors_become_one_line(raised: Exception, exit_code: int, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command raises ends in its line and exit code."""
    result = CliRunner().invoke(_raising(raised, monkeypatch), ["dev"])
    assert (result.exit_code, result.stderr) == (exit_code, line)


def test_an_unexpected_error_shows_its_place_and_not_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of an unforeseen error may hold a secret; there is no traceback either."""
    result = CliRunner().invoke(_raising(RuntimeError(PLANTED), monkeypatch), ["dev"])
    assert result.exit_code == 1
    assert "unexpected RuntimeError at test_group.py:" in result.stderr
    assert PLANTED not in result.output
    assert "Traceback" not in result.output


def _raising(error: Exception, monkeypatch: pytest.MonkeyPatch) -> click.Group:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(type(cli), "get_command", lambda *_: broken)
    return cli

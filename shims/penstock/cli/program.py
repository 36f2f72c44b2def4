"""The group of all commands. Commands import what they need when they run, so that --help is quick."""

import os

import click

from penstock import __version__
from penstock.cli.approvals import approvals
from penstock.cli.http import http

__all__ = ["main"]

_EXIT_CODES = """\b
Exit codes:
  0  done
  1  refused or failed
  2  wrong usage or configuration
  3  policy service not reachable
  4  not authenticated or not permitted
"""


@click.group(name="penstock", context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="penstock")
def program() -> None:
    """Stand between AI agents and what they reach, and let people approve what agents ask for."""


program.add_command(http)
program.add_command(approvals)


def main() -> None:
    """Runs the command of this process's arguments and exits."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log lines are not for people; ours name every failure
    program(prog_name="penstock")

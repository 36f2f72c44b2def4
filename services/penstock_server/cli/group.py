"""The root command: loads a command's module when it is called, and ends every failure in one clear line."""

import importlib
import sys
import traceback
from typing import cast

import click

from penstock_server import __version__
from penstock_server.cli.failure import Failure
from penstock_server.domain.errors import PenstockError

__all__ = ["cli"]

COMMANDS = {
    "dev": ("penstock_server.cli.dev:dev", "Run the service and an HTTP shim on this machine."),
    "serve": ("penstock_server.cli.serve:serve", "Run the policy service."),
    "migrate": ("penstock_server.cli.migrate:migrate", "Bring a database to this version's tables."),
    "policy": ("penstock_server.cli.policy:policy", "Apply, show and roll back policies."),
    "secret": ("penstock_server.cli.secret:secret", "Store upstream credentials."),
    "shims": ("penstock_server.cli.shims:shims", "Enrol, list and revoke shims."),
    "token": ("penstock_server.cli.tokens:token", "Issue tokens of the development issuer."),
    "audit": ("penstock_server.cli.audit:audit", "Read the audit log."),
}
"""Command name -> (module:attribute, short help); the short help is here so that --help loads no module."""


class RootGroup(click.Group):
    """Loads commands lazily and turns errors into failures with the documented exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command. Raises Failure instead of whatever else it raised; a traceback may hold secrets."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except PenstockError as error:
            raise Failure.of_refusal(error) from None
        except OSError as error:
            raise Failure.of_os_error(error) from None
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            raise Failure(f"unexpected {type(error).__name__} at {place}; please report it") from None


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=(
        "Commands that call the service take --address and --token, or PENSTOCK_ADDRESS and PENSTOCK_TOKEN, "
        "or --dev DIR.\n\n\b\nExit codes:\n  0  done\n  1  refused by the service, or failed\n  2  wrong usage or"
        " configuration\n  3  the service cannot be reached, or cannot answer now\n  4  not authenticated, or not"
        " permitted"
    ),
)
@click.version_option(__version__, prog_name="penstock-server", message="%(prog)s %(version)s")
def cli() -> None:
    """Run and administer the Penstock policy service."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a C locale must not end a listing half-way

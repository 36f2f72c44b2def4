"""The command penstock-server: one module per command group, loaded when it is called."""

from penstock_server.cli.group import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Runs the command line of this process and exits; see --help for the exit codes."""
    cli.main(prog_name="penstock-server")

"""The command migrate: brings a database to the tables of this version."""

from pathlib import Path

import click

from penstock_server.cli.failure import ExitCode, Failure

__all__ = ["migrate"]


@click.command()
@click.option("--database", help="SQLAlchemy URL: sqlite+aiosqlite:////PATH or postgresql+asyncpg://...")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the URL from this configuration, so that its password is on no command line.",
)
def migrate(database: str | None, config_file: Path | None) -> None:
    """Create or update the tables of a database. Safe to repeat."""
    if (database is None) == (config_file is None):
        raise click.UsageError("give either --database or --config")
    if config_file is not None:
        from penstock_server import config

        database = config.load(config_file).database
    from penstock_server import store

    try:
        store.migrate(str(database))
    except (OSError, ValueError) as error:
        raise Failure(f"the database cannot be used: {type(error).__name__}", ExitCode.UNREACHABLE) from None
    click.echo("the database is up to date")

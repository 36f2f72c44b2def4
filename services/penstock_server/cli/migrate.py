"""The command migrate: brings a database to the tables of this version."""

from pathlib import Path

import click

from penstock_server.cli.failure import ExitCode, Failure

__all__ = ["migrate"]

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
"""Databases that the service runs on, with the drivers that it ships with."""


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
    _check(str(database))
    from penstock_server import store

    store.migrate(str(database))
    click.echo("the database is up to date")


def _check(url: str) -> None:
    """Raises Failure unless it is a URL of a database that the service runs on; never repeats it (passwords)."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        driver = make_url(url).drivername
    except (ArgumentError, ValueError):  # ValueError: a port that is not a number
        driver = ""
    if driver not in DRIVERS:
        known = " or ".join(f"{driver}://..." for driver in DRIVERS)
        raise Failure(f"the database URL must be {known}", ExitCode.USAGE)

"""`penstock http`: the composition root of the HTTP shim.

The shim must run under another user, or in another container, than the agent: processes of one user can send each other
signals and change each other's files, and the shim cannot find out that it shares its user. Non-dumpable, it at least
keeps its memory to itself.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.failure import FAILED, USAGE, Failure

if TYPE_CHECKING:
    import ssl

    from penstock._core.verdict import ShimConfig
    from penstock.cli.config import HttpConfig

__all__ = ["http"]

DRAIN_S = 4.0
"""Longest wait for exchanges under way at the end, seconds: with the flush below the ten that supervisors give."""
FLUSH_S = 4.0
"""Longest wait for acknowledgements of recorded frames after that, seconds."""


@click.command()
@click.option(
    "--config", "path", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Configuration, TOML."
)
def http(path: Path) -> None:
    """Run the HTTP shim: a reverse proxy that asks before it forwards.

    Run it as another user, or in another container, than the agent. Prints "ready URL ..." once it has the service's
    configuration; ends with code 0 on SIGTERM or SIGINT, after what is under way.
    """
    from penstock.cli.config import ConfigError, load
    from penstock.cli.process import forbid_dumps, run
    from penstock.http import Limits

    logging.basicConfig(format="penstock: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        config = load(path, Limits)
    except ConfigError as error:
        raise Failure(USAGE, str(error)) from None
    if not forbid_dumps():
        click.echo("penstock: warning: this system cannot protect the shim's memory from its own user", err=True)
    for address in config.exposed():
        click.echo(
            f"penstock: warning: {address} is reachable from elsewhere in plain HTTP; let agents alone reach it",
            err=True,
        )
    run(_serve(config))


async def _serve(config: "HttpConfig") -> None:
    """Serves until a signal; raises Failure if it cannot begin."""
    from penstock._client import open_client
    from penstock.http import HttpShim, Limits

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        upstream_tls = _upstream_tls(config.upstream_ca)
        client = open_client(config.service, config.token, config.ca)
    except (ValueError, OSError) as error:
        raise Failure(USAGE, str(error)) from None
    configured = asyncio.Event()
    client.decider.on_config(lambda pushed: _note(configured, pushed))
    limits = Limits(**config.limits)  # type: ignore[arg-type]  # checked against the fields when the file was read
    shim = HttpShim(client.decider, client.recorder, limits, upstream_tls)
    try:
        urls = await shim.start(*config.listen)
    except OSError as error:
        raise Failure(FAILED, f"cannot listen on {error.filename}: {error.strerror or error}") from None
    await client.start()
    try:
        if await _first(configured, stop):
            click.echo(f"ready {' '.join(urls)}")
            sys.stdout.flush()
            await stop.wait()
    finally:
        await shim.close(DRAIN_S)
        await client.close(FLUSH_S)


def _upstream_tls(extra: Path | None) -> "ssl.SSLContext | None":
    """Returns a context that trusts the system's authorities and those of the file; None if there is no file."""
    import ssl

    if extra is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=extra)
    except ssl.SSLError:
        raise ValueError(f"{extra}: holds no certificate in PEM form") from None
    return context


def _note(configured: asyncio.Event, pushed: "ShimConfig | None") -> None:
    if pushed is not None:
        configured.set()


async def _first(configured: asyncio.Event, stop: asyncio.Event) -> bool:
    """Waits for either; returns False if it was the signal."""
    waits = [asyncio.ensure_future(event.wait()) for event in (configured, stop)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return not stop.is_set()

"""The command serve: runs the policy service until it is told to stop."""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import click

__all__ = ["serve"]

SWITCH_S = 0.0001
"""How long a thread may keep the interpreter while another waits, seconds: at Python's own 5 ms the thread that
commits would wait ten times longer for its turn than for the disk."""


@click.command()
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration, TOML.",
)
def serve(config_file: Path) -> None:
    """Run the policy service until SIGTERM or SIGINT; prints "ready" when it serves."""
    from penstock_server import config, server

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = config.load(config_file)
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(server.serve(settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's factory where uvloop is installed, else None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

"""The command dev itself: prepares the folder, starts both processes, says how to go on, supervises."""

import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import IO

import click

from penstock_server.cli import dev_file
from penstock_server.cli.connection import Connection
from penstock_server.cli.dev.child import Child
from penstock_server.cli.dev.folder import DevFolder, opened
from penstock_server.cli.dev.setup import ISSUER, apply_policy, enrol_shim, issue_tokens
from penstock_server.cli.loopback import is_loopback

__all__ = ["dev"]

NOTICE = """\
  COOPERATIVE MODE: everything here runs as one user. An agent that runs as the same user
  can read the keys, tokens and memory of both processes and go around them. Good for
  trying things out; for a real boundary run the shim as another user or container."""


def _host_port(text: str) -> str:
    """Returns HOST:PORT as it was written; the host may be an IPv6 address in brackets. Raises BadParameter."""
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):([0-9]{1,5})", str(text))
    if match is None or int(match[1]) > 65535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return str(text)


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("penstock-data"),
    show_default=True,
    help="Folder for database, keys, tokens and configuration; created if need be.",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.File("rb"),
    help="Policy document to apply. Without: the active one stays; a new folder refuses everything.",
)
@click.option(
    "--http",
    "listen",
    type=_host_port,
    metavar="HOST:PORT",
    default="127.0.0.1:8642",
    show_default=True,
    help="Where the HTTP shim listens.",
)
def dev(data: Path, policy_file: IO[bytes] | None, listen: str) -> None:
    """Run the policy service and an HTTP shim on this machine, and keep both running.

    Prints "ready" when the shim serves. DIR/dev.json (mode 0600) then holds the addresses and one token a role;
    other commands read it with --dev DIR. SIGTERM or Ctrl-C ends both processes. Exit code 0 then.
    """
    from penstock_server import store
    from penstock_server.identity import DevIssuer

    document = None
    if policy_file is not None:
        try:
            document = policy_file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{policy_file.name}: not UTF-8 at byte {error.start}") from None
    with opened(data) as folder:
        folder.write_service(ISSUER)
        store.migrate(folder.database)
        tokens = issue_tokens(DevIssuer.open(folder.path))
        asyncio.run(_run(folder, tokens, document, listen))


async def _run(folder: DevFolder, tokens: dict[str, str], document: str | None, listen: str) -> None:
    """Starts and supervises both children until SIGTERM, SIGINT or SIGHUP; returns once both have ended."""
    command = [sys.executable, "-m"]
    service = Child("service", [*command, "penstock_server.cli", "serve", "--config", str(folder.service_toml)], _say)
    shim = Child("shim", [*command, "penstock.cli", "http", "--config", str(folder.shim_toml)], _say)
    stopped = _stop_on_signals()
    try:
        await service.start()
        admin = Connection(folder.address, tokens["admin"])
        await asyncio.to_thread(enrol_shim, admin, folder)
        revision = await asyncio.to_thread(apply_policy, admin, document, _say)
        folder.write_shim(listen)
        http = await shim.start()
        folder.write_shim(http.partition("://")[2])  # the port that it has got, should it be started again
        dev_file.write(folder.path, dev_file.DevFile(folder.address, http, tokens))
        click.echo(_welcome(folder, http, revision, f"service {service.pid}, shim {shim.pid}"))
        click.echo("ready")
        await asyncio.gather(service.supervise(), shim.supervise())
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise
    finally:
        await shim.stop()  # first, so that nothing is in flight when the service goes
        await service.stop()


def _stop_on_signals() -> asyncio.Event:
    """Cancels the running task on the first signal to stop; later ones change nothing. Returns whether one came."""
    stopped = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopped


def _welcome(folder: DevFolder, http: str, revision: int, processes: str) -> str:
    """Returns what a person needs to go on."""
    data = folder.path
    lines = [
        "",
        f"  HTTP shim   {http}   (an upstream is at {http}/NAME)",
        f"  service     {folder.address}",
        f"  policy      revision {revision}",
        f"  processes   {processes}",
        f"  tokens      {data / dev_file.NAME}: agent, approver, admin, secrets, auditor; valid 30 days",
        "",
        NOTICE,
    ]
    if not is_loopback(http.partition("://")[2]):
        lines.append(
            "  The shim listens BEYOND LOOPBACK without TLS: tokens and answers cross the network in the clear."
        )
    lines += [
        "",
        "  Next:",
        f"    penstock-server policy apply policy.yaml --dry-run --dev {data}",
        f"    penstock-server secret put NAME --dev {data} < value.txt",
        f"    penstock-server audit tail --dev {data}",
        "",
    ]
    return "\n".join(lines)


def _say(line: str) -> None:
    click.echo(line, err=True)

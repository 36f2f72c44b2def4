"""The commands shims enrol, list and revoke."""

from pathlib import Path

import click

from penstock.v1 import shim_pb2, shim_pb2_grpc
from penstock_server.cli.connection import Connection, connected
from penstock_server.cli.dev_file import write_private
from penstock_server.cli.text import json_line, json_value, printable, table, utc

__all__ = ["shims"]


@click.group()
def shims() -> None:
    """Enrol, list and revoke shims. Role: admin."""


@shims.command()
@click.argument("name")
@click.option("--upstream", "upstreams", multiple=True, required=True, help='Upstream it may serve, or "*"; repeat.')
@click.option("--group", "groups", multiple=True, required=True, help='Group of agents it may ask for, or "*"; repeat.')
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the token there (mode 0600) instead of printing it. The file must not exist.",
)
@connected("admin")
def enrol(
    connection: Connection, name: str, upstreams: tuple[str, ...], groups: tuple[str, ...], token_file: Path | None
) -> None:
    """Enrol the shim NAME and print its token alone; it is shown this once."""
    if token_file is not None:
        if token_file.exists():
            raise click.UsageError(f"{token_file} exists already")
        write_private(token_file, "")  # fails now, and not after the token was spent
    request = shim_pb2.EnrolShimRequest(name=name, upstreams=upstreams, groups=groups)
    try:
        answer = connection.call(shim_pb2_grpc.ShimServiceStub, "EnrolShim", request)
    except Exception:
        if token_file is not None:
            token_file.unlink(missing_ok=True)
        raise
    if token_file is None:
        click.echo(answer.token)
        return
    write_private(token_file, answer.token + "\n")
    click.echo(printable(f"shim {answer.shim.name} is enrolled; its token is in {token_file}"), err=True)


@shims.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@connected("admin")
def list_(connection: Connection, as_json: bool) -> None:
    """List shims; never their tokens."""
    found = connection.call(shim_pb2_grpc.ShimServiceStub, "ListShims", shim_pb2.ListShimsRequest()).shims
    if as_json:
        for one in found:
            click.echo(json_line(json_value(one)))
        return
    rows = [
        [one.name, ", ".join(one.upstreams), ", ".join(one.groups), utc(one.created_at_ms), utc(one.revoked_at_ms)]
        for one in found
    ]
    click.echo(table(["name", "upstreams", "groups", "enrolled", "revoked"], rows))


@shims.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@connected("admin")
def revoke(connection: Connection, name: str, as_json: bool) -> None:
    """Revoke the shim NAME: its stream is cut and its token refused from now on."""
    request = shim_pb2.RevokeShimRequest(name=name)
    shim = connection.call(shim_pb2_grpc.ShimServiceStub, "RevokeShim", request).shim
    click.echo(json_line(json_value(shim)) if as_json else printable(f"shim {shim.name} is revoked"))

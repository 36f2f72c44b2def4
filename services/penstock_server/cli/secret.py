"""The commands secret put and list. A value comes from standard input and is never shown."""

import sys

import click

from penstock.v1 import secret_pb2, secret_pb2_grpc
from penstock_server.cli.connection import Connection, connected
from penstock_server.cli.text import json_line, json_value, printable, table, utc

__all__ = ["secret"]

MAX_VALUE_BYTES = 65536
"""Largest value, bytes: the limit of SecretService."""


@click.group()
def secret() -> None:
    """Store upstream credentials. Role: secrets."""


@secret.command()
@click.argument("name")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="Host (HOST or HOST:PORT) that it may be sent to; repeat for more. "
    "Without: the hosts of the active policy's upstreams that name it, where the service allows that (dev).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@connected("secrets")
def put(connection: Connection, name: str, hosts: tuple[str, ...], as_json: bool) -> None:
    """Store the value on standard input under NAME; one line end after it is left out."""
    request = secret_pb2.PutSecretRequest(name=name, value=_read_value(), hosts=hosts, use_policy_hosts=not hosts)
    stored = connection.call(secret_pb2_grpc.SecretServiceStub, "PutSecret", request).secret
    if as_json:
        click.echo(json_line(json_value(stored)))
    else:
        click.echo(printable(f"secret {stored.name}, version {stored.version}, for {', '.join(stored.hosts)}"))


@secret.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@connected("secrets")
def list_(connection: Connection, as_json: bool) -> None:
    """List names, versions and hosts; never values."""
    found = connection.call(secret_pb2_grpc.SecretServiceStub, "ListSecrets", secret_pb2.ListSecretsRequest()).secrets
    if as_json:
        for one in found:
            click.echo(json_line(json_value(one)))
        return
    rows = [[one.name, str(one.version), utc(one.created_at_ms), ", ".join(one.hosts)] for one in found]
    click.echo(table(["name", "version", "stored", "hosts"], rows))


def _read_value() -> bytes:
    """Returns the value, asking without echo if a person sits there. Raises UsageError if it is empty or too long."""
    if sys.stdin.isatty():
        value: bytes = click.prompt("Value", hide_input=True, err=True).encode()
    else:
        value = sys.stdin.buffer.read(MAX_VALUE_BYTES + 3)
        value = value.removesuffix(b"\n").removesuffix(b"\r") if value.endswith(b"\n") else value
    if not value:
        raise click.UsageError("no value on standard input")
    if len(value) > MAX_VALUE_BYTES:
        raise click.UsageError(f"the value is longer than {MAX_VALUE_BYTES} bytes")
    return value

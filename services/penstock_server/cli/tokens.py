"""The command token issue: tokens of the service's own, development issuer."""

import time
from pathlib import Path

import click

from penstock.v1 import token_pb2, token_pb2_grpc
from penstock_server.cli.connection import Connection, connected
from penstock_server.cli.duration import duration

__all__ = ["token"]


@click.group()
def token() -> None:
    """Issue tokens of the development issuer."""


@token.command()
@click.option("--subject", required=True, help="Who the token is for.")
@click.option("--group", "groups", multiple=True, help="Group; repeat for more. Groups give roles.")
@click.option("--owner", default="", help="The person who answers for the subject, if it is an agent.")
@click.option(
    "--ttl", type=duration, metavar="SPAN", default="1h", show_default=True, help="How long it is valid: 30m, 1h."
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Sign here, with the issuer's key in this data folder, without calling the service (first tokens).",
)
@connected("admin", unless="data")
def issue(
    connection: Connection | None, subject: str, groups: tuple[str, ...], owner: str, ttl: int, data: Path | None
) -> None:
    """Issue one token and print it alone.

    Role: admin, at a service that says unsafe_token_service (dev does); with --data no service is asked.
    """
    if connection is not None:
        request = token_pb2.IssueTokenRequest(subject=subject, groups=groups, owner=owner, ttl_s=ttl)
        click.echo(connection.call(token_pb2_grpc.TokenServiceStub, "IssueToken", request).token)
    elif data is not None:
        from penstock_server.identity import DevIssuer

        issuer = DevIssuer.open(data)
        now_ms = time.time_ns() // 1_000_000
        click.echo(issuer.issue(subject=subject, groups=groups, owner=owner, ttl_s=ttl, now_ms=now_ms))

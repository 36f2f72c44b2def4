"""The commands policy apply, show, revisions and rollback."""

from collections.abc import Iterable
from typing import IO

import click

from penstock.v1 import policy_pb2, policy_pb2_grpc
from penstock_server.cli.connection import Connection, connected
from penstock_server.cli.text import json_line, json_value, printable, table, utc

__all__ = ["policy"]

PAGE = 200
"""Revisions a call: the most that ListRevisions gives."""


@click.group()
def policy() -> None:
    """Apply, show and roll back policies. Role: admin."""


@policy.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Validate and show what would change; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@connected("admin")
def apply(connection: Connection, file: IO[bytes], dry_run: bool, as_json: bool) -> None:
    """Make the policy document FILE ("-": standard input) the active revision, as a whole or not at all."""
    try:
        document = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file.name}: not UTF-8 at byte {error.start}") from None
    request = policy_pb2.ApplyPolicyRequest(document=document, dry_run=dry_run)
    answer = connection.call(policy_pb2_grpc.PolicyServiceStub, "ApplyPolicy", request)
    for warning in answer.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    if as_json:
        click.echo(json_line(json_value(answer) | {"dry_run": dry_run}))
        return
    _print_changes(answer.changes)
    if dry_run:
        stays = f"revision {answer.revision} stays active" if answer.revision else "no revision is active"
        click.echo(f"dry run: nothing was changed, {stays}")
    else:
        click.echo(f"revision {answer.revision} is active")


@policy.command()
@click.option("--revision", type=click.IntRange(min=1), help="Revision number; default: the active one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with number, author and document.")
@connected("admin")
def show(connection: Connection, revision: int | None, as_json: bool) -> None:
    """Print a revision's document exactly as it was applied."""
    request = policy_pb2.ShowPolicyRequest(revision=revision or 0)
    answer = connection.call(policy_pb2_grpc.PolicyServiceStub, "ShowPolicy", request)
    if as_json:
        click.echo(json_line(json_value(answer)))
        return
    state = "active" if answer.revision.active else "not active"
    by = f"applied by {answer.revision.author} at {utc(answer.revision.created_at_ms)}"
    click.echo(printable(f"revision {answer.revision.number}, {state}, {by}"), err=True)
    click.echo(answer.document, nl=not answer.document.endswith("\n"))


@policy.command()
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@connected("admin")
def revisions(connection: Connection, limit: int, as_json: bool) -> None:
    """List revisions, newest first."""
    found: list[policy_pb2.Revision] = []
    while len(found) < limit:
        request = policy_pb2.ListRevisionsRequest(
            page_size=min(PAGE, limit - len(found)), before=found[-1].number if found else 0
        )
        page = connection.call(policy_pb2_grpc.PolicyServiceStub, "ListRevisions", request).revisions
        found.extend(page)
        if len(page) < request.page_size:
            break
    if as_json:
        for one in found:
            click.echo(json_line(json_value(one)))
        return
    rows = [
        [f"{one.number}{' *' if one.active else ''}", utc(one.created_at_ms), one.author, one.digest.hex()[:12]]
        for one in found
    ]
    click.echo(table(["revision", "applied", "by", "digest"], rows))


@policy.command()
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@connected("admin")
def rollback(connection: Connection, revision: int, as_json: bool) -> None:
    """Make the document of an earlier REVISION active again, as a new revision."""
    request = policy_pb2.RollbackPolicyRequest(revision=revision)
    answer = connection.call(policy_pb2_grpc.PolicyServiceStub, "RollbackPolicy", request)
    if as_json:
        click.echo(json_line(json_value(answer)))
        return
    _print_changes(answer.changes)
    click.echo(f"revision {answer.revision} is active, with the document of revision {revision}")


def _print_changes(changes: Iterable[str]) -> None:
    lines = [printable(change) for change in changes]
    for line in lines or ["nothing changes"]:
        click.echo(line)

"""The commands audit list and tail."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from penstock.v1 import audit_pb2, audit_pb2_grpc
from penstock_server.cli.connection import Connection, connected
from penstock_server.cli.failure import ExitCode, Failure
from penstock_server.cli.text import json_line, json_value, printable, table, utc

__all__ = ["audit"]

SHOWN = 160
"""Longest cell of a row, characters."""
PAGE = 1000
"""Entries a call: the most that ListEntries gives."""

HEAD = ("seq", "time", "who", "effect", "upstream", "method", "resource", "rules", "reason")
"""Columns of the table."""

TAIL_ROWS = 10
"""Entries that tail shows before it waits for new ones, as tail(1) does."""

WIDTHS = (6, 24, 16, 8, 12, 7, 28, 24, 0)
"""Least widths of tail's columns, characters; it cannot know the widest cell to come."""


@click.group()
def audit() -> None:
    """Read the audit log. Role: auditor."""


@audit.command("list")
@click.option("--after", type=click.IntRange(min=0), help="Only entries after this sequence number, oldest first.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most entries.")
@click.option("--kind", default="", help='Only this kind, e.g. "decision".')
@click.option("--call", "call_id", default="", help="Only entries of this call id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with all fields.")
@connected("auditor")
def list_(connection: Connection, after: int | None, limit: int, kind: str, call_id: str, as_json: bool) -> None:
    """List the newest entries, or those after a sequence number; in the order in which they were written."""
    if after is None and limit > PAGE:
        raise click.UsageError(f"a limit over {PAGE} needs --after (0: from the beginning)")
    entries = _pages(connection, after, limit, kind, call_id)
    if as_json:
        for entry in entries:
            click.echo(_json(entry))
        return
    click.echo(table(HEAD, [_row(entry) for entry in entries]))


@audit.command()
@click.option("--after", type=click.IntRange(min=0), help=f"Begin after this number; default: the last {TAIL_ROWS}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with all fields.")
@connected("auditor")
def tail(connection: Connection, after: int | None, as_json: bool) -> None:
    """Print entries as they are written, until interrupted."""
    if not as_json:
        click.echo(_aligned([name.upper() for name in HEAD]))
    last = after or 0
    try:
        if after is None:
            for entry in _pages(connection, None, TAIL_ROWS, "", ""):
                last = entry.seq
                click.echo(_json(entry) if as_json else _aligned(_row(entry)))
        request = audit_pb2.TailEntriesRequest(after=last)
        for answer in connection.stream(audit_pb2_grpc.AuditServiceStub, "TailEntries", request):
            last = answer.entry.seq
            click.echo(_json(answer.entry) if as_json else _aligned(_row(answer.entry)))
    except KeyboardInterrupt:
        return
    except Failure as failure:
        if failure.exit_code == ExitCode.UNREACHABLE:
            raise Failure(f"{failure.message}; go on with --after {last}", failure.exit_code) from None
        raise


def _pages(
    connection: Connection, after: int | None, limit: int, kind: str, call_id: str
) -> Iterator[audit_pb2.AuditEntry]:
    """Yields at most limit entries, page by page; the newest ones if after is None."""
    position, left, more = after or 0, limit, True
    while left and more:
        request = audit_pb2.ListEntriesRequest(
            after=position, page_size=min(PAGE, left), kind=kind, call_id=call_id, newest=after is None
        )
        answer = connection.call(audit_pb2_grpc.AuditServiceStub, "ListEntries", request)
        yield from answer.entries
        left -= len(answer.entries)
        more = answer.more and after is not None and len(answer.entries) > 0
        position = answer.entries[-1].seq if answer.entries else position


def _row(entry: audit_pb2.AuditEntry) -> list[str]:
    return [
        str(entry.seq),
        utc(entry.at_ms),
        entry.actor.subject,
        entry.effect or entry.kind,
        entry.upstream,
        entry.method,
        _short(entry.resource),
        _short(", ".join(entry.rules)),
        _short(entry.reason),
    ]


def _short(text: str) -> str:
    """Returns what fits into a row; --json has all of it."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _aligned(cells: Sequence[str]) -> str:
    return "  ".join((printable(cell) or "-").ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _json(entry: audit_pb2.AuditEntry) -> str:
    """Returns one line with all fields: hashes in hex, `details` parsed (as text, should it not be JSON)."""
    value: dict[str, Any] = json_value(entry)
    text = value.pop("details_json")
    try:
        value["details"] = json.loads(text) if text else {}
    except ValueError:
        value["details"] = text
    return json_line(value)

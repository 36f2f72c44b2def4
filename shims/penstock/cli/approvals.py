"""`penstock approvals`: what people see and decide. The author of a review is who the token says."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.cli.failure import FAILED, UNREACHABLE, USAGE, Failure, from_rpc

if TYPE_CHECKING:
    from penstock.v1 import approval_pb2

__all__ = ["approvals"]

TIMEOUT_S = 10.0
"""Longest wait for one answer of the service, seconds."""
PAGE = 200
"""Requests a page; the most that the service gives."""
STATES = ("pending", "approved", "denied", "expired", "cancelled")

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def approvals() -> None:
    """List, show, approve and deny what agents wait for."""


def _connection(command: _Command) -> _Command:
    """Adds the options that every command takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line."),
        click.option("--ca", envvar="PENSTOCK_CA", show_envvar=True, metavar="FILE", help="CA of the service, PEM."),
        click.option("--token", envvar="PENSTOCK_TOKEN", show_envvar=True, metavar="TOKEN", help="Who you are."),
        click.option(
            "--address",
            envvar="PENSTOCK_ADDRESS",
            show_envvar=True,
            metavar="ADDRESS",
            help="The policy service: unix:/path or HOST:PORT (TLS unless loopback).",
        ),
    ):
        command = option(command)
    return command


class _Approver:
    """Calls ApproverService; every failure becomes a Failure."""

    def __init__(self, address: str | None, token: str | None, ca: str | None) -> None:
        from penstock._client.channel import bearer, open_sync_channel
        from penstock.v1 import approver_pb2_grpc

        if not address:
            raise Failure(USAGE, "where is the policy service? Give --address or set PENSTOCK_ADDRESS")
        if not token:
            raise Failure(USAGE, "who are you? Set PENSTOCK_TOKEN or give --token")
        try:
            self._metadata = bearer(token)
            channel = open_sync_channel(address, Path(ca) if ca else None)
        except (ValueError, OSError) as error:
            raise Failure(USAGE, str(error)) from None
        click.get_current_context().call_on_close(channel.close)
        self._address = address
        self._stub = approver_pb2_grpc.ApproverServiceStub(channel)

    def _call(self, method: Callable[..., _T], request: Any) -> _T:
        import grpc

        try:
            return method(request, metadata=self._metadata, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise from_rpc(error, self._address) from None

    def requests(self, state: str, limit: int) -> "Iterator[approval_pb2.Approval]":
        from penstock.v1 import approval_pb2, approver_pb2

        wanted = approval_pb2.ApprovalState.Value(f"APPROVAL_STATE_{state.upper()}")
        page_token, count = "", 0
        while count < limit:
            size = min(PAGE, limit - count)
            request = approver_pb2.ListApprovalsRequest(state=wanted, page_size=size, page_token=page_token)
            page = self._call(self._stub.ListApprovals, request)
            yield from page.approvals
            count += len(page.approvals)
            page_token = page.next_page_token
            if not page_token or not page.approvals:
                return

    def get(self, name: str) -> "approval_pb2.Approval":
        from penstock.v1 import approver_pb2

        return self._call(self._stub.ReviewedApproval, approver_pb2.ReviewedApprovalRequest(name=name)).approval

    def approve(self, name: str, reason: str, digest: bytes) -> "approval_pb2.Approval":
        from penstock.v1 import approver_pb2

        request = approver_pb2.ApproveRequest(name=name, reason=reason, action_digest=digest)
        return self._call(self._stub.Approve, request).approval

    def deny(self, name: str, reason: str) -> "approval_pb2.Approval":
        from penstock.v1 import approver_pb2

        return self._call(self._stub.Deny, approver_pb2.DenyRequest(name=name, reason=reason)).approval


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _print(approval: "approval_pb2.Approval", as_json: bool, row: bool = False) -> None:
    from penstock.cli import approval_view

    if as_json:
        click.echo(json.dumps(approval_view.as_json(approval)))
    else:
        click.echo((approval_view.as_row if row else approval_view.as_text)(approval, _now_ms()))


@approvals.command("list")
@click.option("--state", type=click.Choice(STATES), default="pending", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Most rows.")
@_connection
def list_(address: str, token: str, ca: str, as_json: bool, state: str, limit: int) -> None:
    """List the requests that you may review, newest first."""
    found = False
    for approval in _Approver(address, token, ca).requests(state, limit):
        found = True
        _print(approval, as_json, row=True)
    if not found and not as_json:
        click.echo(f"no {state} requests", err=True)


@approvals.command()
@click.argument("name")
@_connection
def show(address: str, token: str, ca: str, as_json: bool, name: str) -> None:
    """Show exactly what would be approved."""
    _print(_Approver(address, token, ca).get(name), as_json)


@approvals.command()
@click.argument("name")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation on a terminal.")
@_connection
def approve(address: str, token: str, ca: str, as_json: bool, name: str, reason: str, yes: bool) -> None:
    """Show a request, then approve exactly what was shown."""
    from penstock.cli import approval_view

    approver = _Approver(address, token, ca)
    seen = approver.get(name)
    if not seen.action_digest:
        raise Failure(FAILED, f"{name}: the service sent no digest of the request, so nothing can be approved")
    click.echo(approval_view.as_text(seen, _now_ms()), err=as_json)
    if not yes and _is_terminal() and not click.confirm("Approve this?", err=True):
        raise Failure(FAILED, "nothing was approved")
    after = approver.approve(name, reason, seen.action_digest)
    _tell(after, as_json, "approved by you")


@approvals.command()
@click.argument("name")
@click.option("--reason", default="", help="Why, for the record and the agent.")
@_connection
def deny(address: str, token: str, ca: str, as_json: bool, name: str, reason: str) -> None:
    """Deny a request; one no is final."""
    _tell(_Approver(address, token, ca).deny(name, reason), as_json, "denied by you")


def _tell(after: "approval_pb2.Approval", as_json: bool, done: str) -> None:
    """Prints what a review led to."""
    from penstock.cli import approval_view
    from penstock.cli.visible import visible

    if as_json:
        _print(after, as_json)
        return
    missing = sum(max(0, needed.quorum - needed.approved) for needed in after.requirements)
    state = approval_view.state_name(after)
    waits = f", waits for {missing} more" if state == "pending" and missing else ""
    click.echo(visible(f"{after.name}: {done}; the request is {state}{waits}"))


@approvals.command()
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds.")
@_connection
def watch(address: str, token: str, ca: str, as_json: bool, interval: float) -> None:
    """Print new pending requests until Ctrl-C."""
    approver = _Approver(address, token, ca)
    seen: set[str] = set()
    began, reachable = False, True
    try:
        while True:
            try:
                waiting = list(approver.requests("pending", 10_000))
            except Failure as failure:
                if failure.exit_code != UNREACHABLE or not began:
                    raise
                if reachable:
                    failure.show()
                reachable = False
            else:
                if not began and _is_terminal():
                    click.echo("watching; Ctrl-C ends", err=True)
                if not reachable:
                    click.echo("penstock: connected again", err=True)
                began = reachable = True
                for approval in reversed(waiting):
                    if approval.name not in seen:
                        _print(approval, as_json, row=True)
                seen = {approval.name for approval in waiting}
                sys.stdout.flush()
            time.sleep(interval)
    except KeyboardInterrupt:
        return

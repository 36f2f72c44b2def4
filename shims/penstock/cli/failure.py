"""Ends a command with one clear line and a documented exit code."""

import re
from typing import IO, Any

import click

from penstock.cli.visible import visible

__all__ = ["FAILED", "NOT_PERMITTED", "UNREACHABLE", "USAGE", "Failure", "from_rpc"]

_ERRNO = re.compile(r" \([0-9]+\)$")
"""Older gRPC puts the number of the system's error behind its text."""

FAILED = 1
USAGE = 2
UNREACHABLE = 3
NOT_PERMITTED = 4


class Failure(click.ClickException):
    """Ends the command; message: for people, without secrets; its lines are printed to standard error."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class and reads it from each

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the message with control characters made visible."""
        for line in self.message.split("\n"):
            click.echo(f"penstock: {visible(line)}", file=file, err=file is None)


def from_rpc(error: Exception, address: str) -> Failure:
    """Makes the end of a command from a grpc.RpcError of a synchronous call, with its google.rpc details."""
    import grpc
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    if not isinstance(error, grpc.Call):
        return Failure(FAILED, f"the call failed: {type(error).__name__}")
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict the status: take the status
        status = None
    said = _one_line(error.details())
    info, places, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details if status is not None else ():
        for kind in (info, places, retry):
            detail.Unpack(kind)
    code = error.code()
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) and not info.reason:
        return Failure(UNREACHABLE, f"the policy service at {address} is not reachable ({_cause(said) or code.name})")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Failure(FAILED, f"what answers at {address} does not know this call; is it a policy service?")
    line = said or f"the policy service answered {code.name}"
    violations = "; ".join(f"{place.field}: {_one_line(place.description)}" for place in places.field_violations)
    line += f" ({violations})" if violations else ""
    line += f" [{info.reason}]" if info.reason else ""
    wait_s = retry.retry_delay.seconds + (1 if retry.retry_delay.nanos else 0)
    line += f"; try again in {wait_s} s" if wait_s else ""
    refused = code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    return Failure(NOT_PERMITTED if refused else FAILED, line)


def _cause(said: str) -> str:
    """Returns what matters of gRPC's text about a failed connection, which repeats the address up to four times."""
    return _ERRNO.sub("", said.rpartition(": ")[2]) if said.startswith("failed to connect") else said


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())

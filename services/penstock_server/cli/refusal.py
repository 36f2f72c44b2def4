"""What an error of the service means: google.rpc details become lines for people and an exit code."""

from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock_server.cli.failure import ExitCode, Failure

__all__ = ["failure_of"]

EXIT_CODES = {
    grpc.StatusCode.UNAVAILABLE: ExitCode.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.UNREACHABLE,
    grpc.StatusCode.CANCELLED: ExitCode.UNREACHABLE,
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.FORBIDDEN,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.FORBIDDEN,
}
"""Exit code by gRPC status; every other status is REFUSED."""

Detail = TypeVar("Detail", bound=Message)


def failure_of(error: grpc.RpcError, address: str) -> Failure:
    """Returns the failure to show for an RPC that the service at that address refused or could not answer."""
    code = error.code()
    text = str(error.details() or "").split("\n")[0]
    status = _status(error)
    exit_code = EXIT_CODES.get(code, ExitCode.REFUSED)
    info = _detail(status, error_details_pb2.ErrorInfo)
    if info is None and code is grpc.StatusCode.UNAVAILABLE:
        cause = text.rpartition(": ")[2] if text.startswith("failed to connect") else text
        started = "start it with `penstock-server dev` or `penstock-server serve`"
        return Failure(f"the service at {address} cannot be reached ({cause}): {started}", exit_code)
    if info is None and code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Failure(f"the service at {address} did not answer in time", exit_code)
    if info is None and code is grpc.StatusCode.UNIMPLEMENTED:
        return Failure(f"the service at {address} does not offer this call", exit_code)
    message = text or code.name.lower().replace("_", " ")
    if info is not None:
        message += f" [{info.reason}]"
    retry = _detail(status, error_details_pb2.RetryInfo)
    if retry is not None:
        message += f"; try again in {max(1, retry.retry_delay.ToSeconds())} s"
    fields = _detail(status, error_details_pb2.BadRequest)
    details = [f"{one.field}: {one.description}" for one in fields.field_violations] if fields is not None else []
    return Failure(message, exit_code, details)


def _status(error: Any) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)
    except (ValueError, AttributeError, DecodeError):  # details that contradict the call, or are not a Status
        return None


def _detail(status: status_pb2.Status | None, kind: type[Detail]) -> Detail | None:
    for packed in status.details if status is not None else ():
        detail = kind()
        try:
            if packed.Unpack(detail):
                return detail
        except DecodeError:
            continue
    return None

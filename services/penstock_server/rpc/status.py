"""Maps the one error type to gRPC status with standard details (google.rpc ErrorInfo, BadRequest, RetryInfo)."""

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock_server.domain.errors import Code, FieldProblem, PenstockError

__all__ = ["DOMAIN", "INTERNAL_TEXT", "status_of"]

DOMAIN = "penstock"
"""The ErrorInfo domain of every error of the service."""

INTERNAL_TEXT = "the policy service failed; its own log says why"
"""What a caller is told of an error that nobody foresaw: never the error's own text."""

MAX_MESSAGE_BYTES = 1000
"""Longest message on the wire, bytes; it travels twice, as a trailer and within the details."""

MAX_PROBLEMS_BYTES = 3500
"""Longest list of problems, bytes: gRPC's clients refuse trailers over 8 KiB, and base64 adds a third."""

_STATUS = {
    Code.INVALID: code_pb2.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Code.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Code.NOT_FOUND: code_pb2.NOT_FOUND,
    Code.CONFLICT: code_pb2.ABORTED,
    Code.WRONG_STATE: code_pb2.FAILED_PRECONDITION,
    Code.EXHAUSTED: code_pb2.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE: code_pb2.UNAVAILABLE,
}


def status_of(error: Exception) -> grpc.Status:
    """Returns the status of an error; INTERNAL with a fixed text for any but a PenstockError."""
    if not isinstance(error, PenstockError):
        return rpc_status.to_status(status_pb2.Status(code=code_pb2.INTERNAL, message=INTERNAL_TEXT))
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.problems:
        details.append(_bad_request(error.problems))
    if error.retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(error.retry_after_ms)
        details.append(retry)
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    message = _cut(error.message, MAX_MESSAGE_BYTES)
    return rpc_status.to_status(status_pb2.Status(code=_STATUS[error.code], message=message, details=packed))


def _bad_request(problems: tuple[FieldProblem, ...]) -> error_details_pb2.BadRequest:
    """Returns the problems, as many as fit, and how many more there are."""
    bad = error_details_pb2.BadRequest()
    for number, problem in enumerate(problems):
        where, what = _cut(problem.where, MAX_MESSAGE_BYTES), _cut(problem.what, MAX_MESSAGE_BYTES)
        bad.field_violations.add(field=where, description=what)
        if bad.ByteSize() > MAX_PROBLEMS_BYTES:
            del bad.field_violations[-1]
            left = len(problems) - number
            bad.field_violations.add(field="", description=f"and {left} more: mend these first")
            break
    return bad


def _cut(text: str, limit: int) -> str:
    """Returns the text, cut where its percent-encoded form, which is how a trailer carries it, exceeds the limit."""
    size = 0
    for at, character in enumerate(text):
        plain = character.isascii() and character.isprintable() and character != "%"
        size += 1 if plain else 3 * len(character.encode())
        if size > limit:
            return text[:at] + "…"
    return text

"""Maps the one error type to gRPC status with standard details (google.rpc ErrorInfo, BadRequest, RetryInfo)."""

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock_server.domain.errors import Code, PenstockError

__all__ = ["DOMAIN", "INTERNAL_TEXT", "status_of"]

DOMAIN = "penstock"
"""The ErrorInfo domain of every error of the service."""

INTERNAL_TEXT = "the policy service failed; its own log says why"
"""What a caller is told of an error that nobody foresaw: never the error's own text."""

_STATUS = {
    Code.INVALID: code_pb2.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Code.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Code.NOT_FOUND: code_pb2.NOT_FOUND,
    Code.CONFLICT: code_pb2.ABORTED,
    Code.WRONG_STATE: code_pb2.FAILED_PRECONDITION,
    Code.EXHAUSTED: code_pb2.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE: code_pb2.UNAVAILABLE,
    Code.DEADLINE: code_pb2.DEADLINE_EXCEEDED,
}


def status_of(error: Exception) -> grpc.Status:
    """Returns the status of an error; INTERNAL with a fixed text for any but a PenstockError."""
    if not isinstance(error, PenstockError):
        return rpc_status.to_status(status_pb2.Status(code=code_pb2.INTERNAL, message=INTERNAL_TEXT))
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.problems:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=problem.where, description=problem.what)
            for problem in error.problems
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(error.retry_after_ms)
        details.append(retry)
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    return rpc_status.to_status(status_pb2.Status(code=_STATUS[error.code], message=error.message, details=packed))

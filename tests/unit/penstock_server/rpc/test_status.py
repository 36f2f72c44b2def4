"""Tests of the mapping from errors to gRPC status: standard details, and nothing of an error that nobody foresaw."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from penstock_server.domain.errors import Code, FieldProblem, PenstockError
from penstock_server.rpc.status import DOMAIN, INTERNAL_TEXT, status_of

CODES = {
    Code.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.CONFLICT: grpc.StatusCode.ABORTED,
    Code.WRONG_STATE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


def _details(status: Any) -> list[Any]:
    packed = next(value for name, value in status.trailing_metadata if name == "grpc-status-details-bin")
    found = []
    for box in status_pb2.Status.FromString(packed).details:
        message = getattr(error_details_pb2, box.type_url.rpartition(".")[2])()
        assert box.Unpack(message)
        found.append(message)
    return found


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status(code: Code) -> None:
    """With the reason for programs and the line for people."""
    status = status_of(PenstockError(code, "WHY", "do this", metadata={"state": "denied"}))
    assert (status.code, status.details) == (CODES[code], "do this")
    (info,) = _details(status)
    assert (info.reason, info.domain, dict(info.metadata)) == ("WHY", DOMAIN, {"state": "denied"})


def test_problems_and_waits_are_standard_details() -> None:
    """BadRequest with each field, RetryInfo with the time."""
    problems = (FieldProblem("rules[0].when", "is not a condition"), FieldProblem("upstreams", "is missing"))
    error = PenstockError(Code.INVALID, "POLICY_INVALID", "mend it", problems=problems, retry_after_ms=1500)
    _, bad, retry = _details(status_of(error))
    assert [(v.field, v.description) for v in bad.field_violations] == [(p.where, p.what) for p in problems]
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_an_unforeseen_error_tells_nothing() -> None:
    """Neither text nor arguments nor type."""
    planted = "plan" + "ted-secret"
    for error in (RuntimeError(planted), KeyError(planted), ValueError(planted, planted)):
        status = status_of(error)
        assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
        assert planted not in repr(status) and planted.encode() not in b"".join(
            value for _, value in status.trailing_metadata
        )
        assert _details(status) == []


def test_a_status_fits_into_metadata_however_many_problems_there_are() -> None:
    """gRPC clients refuse trailers over 8 KiB: the first problems are told, and how many more there are."""
    problems = tuple(FieldProblem(f"rules[{number}]", "has an effect that is not known " * 3) for number in range(999))
    status = status_of(PenstockError(Code.INVALID, "POLICY_INVALID", "mend it: " + "x" * 9000, problems=problems))
    assert sum(len(name) + len(value) for name, value in status.trailing_metadata) + len(status.details) < 8000
    violations = _details(status)[1].field_violations
    assert violations[0].field == "rules[0]" and len(violations) > 10
    assert f"{999 - (len(violations) - 1)} more" in violations[-1].description

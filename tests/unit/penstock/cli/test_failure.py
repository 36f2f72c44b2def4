"""How a command ends when a call fails."""

import io
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from penstock.cli.failure import FAILED, NOT_PERMITTED, UNREACHABLE, Failure, from_rpc


class Ended(grpc.RpcError, grpc.Call):
    """Is the error of a synchronous call."""

    def __init__(self, code: grpc.StatusCode, details: str, *packed: Any) -> None:
        status = status_pb2.Status(code=code.value[0], message=details)
        for detail in packed:
            status.details.add().Pack(detail)
        self._code, self._details = code, details
        self._trailers = (("grpc-status-details-bin", status.SerializeToString()),) if packed else ()

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailers

    def initial_metadata(self) -> Any:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Any) -> bool:
        return False


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.UNAVAILABLE, UNREACHABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UNREACHABLE),
        (grpc.StatusCode.UNAUTHENTICATED, NOT_PERMITTED),
        (grpc.StatusCode.PERMISSION_DENIED, NOT_PERMITTED),
        (grpc.StatusCode.UNIMPLEMENTED, FAILED),
        (grpc.StatusCode.FAILED_PRECONDITION, FAILED),
        (grpc.StatusCode.INTERNAL, FAILED),
    ],
)
def test_each_status_has_its_exit_code(code: grpc.StatusCode, exit_code: int) -> None:
    """Programs can tell the causes apart."""
    assert from_rpc(Ended(code, "why"), "unix:/x").exit_code == exit_code


def test_a_service_that_says_why_it_is_unavailable_was_reached() -> None:
    """With a reason of its own, unavailable is a refusal: the database is down, not the service."""
    info = error_details_pb2.ErrorInfo(reason="STORE_DOWN")
    failure = from_rpc(Ended(grpc.StatusCode.UNAVAILABLE, "the database is down", info), "unix:/x")
    assert (failure.exit_code, failure.message) == (FAILED, "the database is down [STORE_DOWN]")


def test_field_problems_and_the_wait_are_part_of_the_line() -> None:
    """One line holds message, fields, reason, and when to try again."""
    violation = error_details_pb2.BadRequest.FieldViolation(field="name", description="is\nempty")
    failure = from_rpc(
        Ended(
            grpc.StatusCode.INVALID_ARGUMENT,
            "bad",
            error_details_pb2.BadRequest(field_violations=[violation]),
            error_details_pb2.ErrorInfo(reason="NAME_INVALID"),
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=1)),
        ),
        "unix:/x",
    )
    assert failure.message == "bad (name: is empty) [NAME_INVALID]; try again in 3 s"


def test_details_that_contradict_the_status_are_ignored() -> None:
    """The status counts; no traceback."""
    error = Ended(grpc.StatusCode.NOT_FOUND, "gone", error_details_pb2.ErrorInfo(reason="X"))
    error._details = "other"
    failure = from_rpc(error, "unix:/x")
    assert (failure.exit_code, failure.message) == (FAILED, "other")


def test_an_error_without_a_status_is_named_by_its_kind() -> None:
    """Nothing of its text is shown."""
    assert from_rpc(grpc.RpcError("planted"), "unix:/x").message == "the call failed: RpcError"


def test_what_is_shown_cannot_command_the_terminal() -> None:
    """Each line has its prefix; control characters are written out."""
    shown = io.StringIO()
    Failure(1, "one\x1b[2J\ntwo").show(shown)
    assert shown.getvalue() == "penstock: one<U+001B>[2J\npenstock: two\n"


def test_unknown_details_are_passed_over() -> None:
    """A detail of a later release changes nothing."""
    failure = from_rpc(Ended(grpc.StatusCode.ABORTED, "race", any_pb2.Any(value=b"x")), "unix:/x")
    assert failure.message == "race"

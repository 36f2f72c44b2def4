"""What errors of the service look like at the command line."""

from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from penstock_server.cli import cli
from penstock_server.cli.failure import ExitCode
from penstock_server.cli.refusal import failure_of
from penstock_server.domain.errors import Code, FieldProblem, PenstockError
from unit.penstock_server.cli.fake_services import TOKEN, FakeService, running


class Refused(grpc.RpcError):
    """Plays the error that a stub raises."""

    def __init__(self, code: grpc.StatusCode, text: str | None, trailers: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._code, self._text, self._trailers = code, text, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._text

    def trailing_metadata(self) -> Any:
        return self._trailers


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (Code.INVALID, 1),
        (Code.UNAUTHENTICATED, 4),
        (Code.FORBIDDEN, 4),
        (Code.NOT_FOUND, 1),
        (Code.CONFLICT, 1),
        (Code.WRONG_STATE, 1),
        (Code.EXHAUSTED, 1),
        (Code.UNAVAILABLE, 3),
    ],
)
def test_each_refusal_has_its_exit_code(service: FakeService, code: Code, exit_code: int) -> None:
    """A program can tell refused, unreachable and not permitted apart; the line holds message and reason."""
    service.error = PenstockError(code, "THE_REASON", "what to do")
    result = service.run("shims", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", "error: what to do [THE_REASON]\n")


def test_every_problem_of_a_document_has_a_line(service: FakeService) -> None:
    """Field problems follow the message, one a line, with their places."""
    problems = (FieldProblem("rules[2].when (line 14)", "not BOOL"), FieldProblem("upstreams.a (line 3)", "no url"))
    service.error = PenstockError(Code.INVALID, "POLICY_INVALID", "the policy is not valid", problems=problems)
    result = service.run("policy", "apply", "-", stdin="rules: []")
    assert result.stderr.splitlines() == [
        "error: the policy is not valid [POLICY_INVALID]",
        "  rules[2].when (line 14): not BOOL",
        "  upstreams.a (line 3): no url",
    ]


def test_a_limit_says_when_to_try_again(service: FakeService) -> None:
    """RetryInfo becomes seconds, at least one."""
    service.error = PenstockError(Code.EXHAUSTED, "FULL", "too many", retry_after_ms=400)
    assert service.run("secret", "list").stderr == "error: too many [FULL]; try again in 1 s\n"


def test_a_service_that_is_not_there_is_named() -> None:
    """Nobody at the address: exit code 3 and the address, no traceback."""
    result = CliRunner(env={"PENSTOCK_TOKEN": TOKEN}).invoke(cli, ["audit", "list", "--address", "unix:/nowhere/s"])
    assert result.exit_code == ExitCode.UNREACHABLE
    assert result.stderr.startswith("error: the service at unix:/nowhere/s cannot be reached (")
    assert result.stderr.count("\n") == 1


def test_a_call_that_the_service_does_not_have_is_said_so() -> None:
    """A service without the development issuer refuses `token issue` clearly."""
    with running(()) as empty:
        result = empty.run("token", "issue", "--subject", "s")
    assert (result.exit_code, result.stderr) == (1, f"error: the service at {empty.address} does not offer this call\n")


def test_a_late_answer_is_unreachable() -> None:
    """The caller's own deadline has no details."""
    failure = failure_of(Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), "unix:/s")
    assert (failure.exit_code, failure.message) == (3, "the service at unix:/s did not answer in time")


def test_an_error_without_text_is_named_by_its_status() -> None:
    """Neither details nor a message: the status name is the message."""
    failure = failure_of(Refused(grpc.StatusCode.FAILED_PRECONDITION, None), "unix:/s")
    assert failure.message == "failed precondition"


@pytest.mark.parametrize("junk", [b"\xff\xff\xff", b""])
def test_details_that_are_no_status_are_ignored(junk: bytes) -> None:
    """A peer that speaks nonsense in its trailers still gets one line."""
    error = Refused(grpc.StatusCode.ABORTED, "no", (("grpc-status-details-bin", junk),))
    assert failure_of(error, "unix:/s").format_message() == "no"


def test_a_detail_that_cannot_be_read_is_ignored() -> None:
    """An Any of the right type with broken content hides nothing else."""
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    fields = any_pb2.Any()
    violation = error_details_pb2.BadRequest.FieldViolation(field="name", description="empty")
    fields.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    status = status_pb2.Status(code=3, message="bad", details=[broken, fields])
    error = Refused(grpc.StatusCode.INVALID_ARGUMENT, "bad", (("grpc-status-details-bin", status.SerializeToString()),))
    assert failure_of(error, "unix:/s").format_message() == "bad\n  name: empty"


def test_a_message_cannot_write_on_the_terminal() -> None:
    """Control characters in a service's text are shown, not obeyed."""
    failure = failure_of(Refused(grpc.StatusCode.ABORTED, "a\x1b[2Jb\nsecond line"), "unix:/s")
    assert failure.format_message() == "a\\x1b[2Jb"

"""How commands fail."""

import io

from penstock_server.cli.failure import ExitCode, Failure
from penstock_server.domain.errors import Code, FieldProblem, PenstockError


def test_own_configuration_that_is_invalid_is_wrong_usage() -> None:
    """A bad file of this process is exit code 2, with a line a field."""
    error = PenstockError(Code.INVALID, "CONFIG", "the file is not valid", problems=(FieldProblem("tls", "missing"),))
    failure = Failure.of_refusal(error)
    assert (failure.exit_code, failure.format_message()) == (ExitCode.USAGE, "the file is not valid\n  tls: missing")


def test_other_local_refusals_are_refusals() -> None:
    """A database that is not at head is exit code 1; one that cannot be reached is 3."""
    assert Failure.of_refusal(PenstockError(Code.WRONG_STATE, "R", "m")).exit_code == ExitCode.REFUSED
    assert Failure.of_refusal(PenstockError(Code.UNAVAILABLE, "R", "m")).exit_code == ExitCode.UNREACHABLE


def test_files_are_named() -> None:
    """An operating system error names its file, and nothing of Python."""
    assert Failure.of_os_error(FileNotFoundError(2, "No such file", "/x/y")).message == "/x/y: No such file"
    assert Failure.of_os_error(OSError()).message == "OSError"


def test_a_failure_is_one_block_on_the_given_stream() -> None:
    """The first line begins with "error:"; details are indented and cannot break their line."""
    stream = io.StringIO()
    Failure("no", details=["a: b\nc"]).show(stream)
    assert stream.getvalue() == "error: no\n  a: b\\nc\n"

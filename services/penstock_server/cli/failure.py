"""How commands fail: one clear line on standard error, a line for each field, and a documented exit code."""

from collections.abc import Sequence
from enum import IntEnum
from typing import IO, Any

import click

from penstock_server.cli.text import printable
from penstock_server.domain.errors import Code, PenstockError

__all__ = ["ExitCode", "Failure"]


class ExitCode(IntEnum):
    """Names the exit codes of every command."""

    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    FORBIDDEN = 4


LOCAL_CODES = {
    Code.INVALID: ExitCode.USAGE,
    Code.UNAVAILABLE: ExitCode.UNREACHABLE,
    Code.UNAUTHENTICATED: ExitCode.FORBIDDEN,
    Code.FORBIDDEN: ExitCode.FORBIDDEN,
}
"""Exit codes of refusals that happen in this process; INVALID is then its own configuration. Others: REFUSED."""


class Failure(click.ClickException):
    """Ends a command. message: one line that says what to do; details: further lines, one a field."""

    def __init__(self, message: str, exit_code: int = ExitCode.REFUSED, details: Sequence[str] = ()) -> None:
        super().__init__(printable(message))
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click declares a class variable and reads the instance
        self.details = tuple(printable(line) for line in details)

    @classmethod
    def of_refusal(cls, error: PenstockError) -> "Failure":
        """Returns the failure for an operation that this process itself refused, e.g. a bad configuration file."""
        details = [f"{problem.where}: {problem.what}" for problem in error.problems]
        return cls(error.message, LOCAL_CODES.get(error.code, ExitCode.REFUSED), details)

    @classmethod
    def of_os_error(cls, error: OSError) -> "Failure":
        """Returns the failure for a file or socket that could not be used; names the file, if there is one."""
        what = error.strerror or type(error).__name__
        return cls(f"{error.filename}: {what}" if error.filename else what)

    def format_message(self) -> str:
        """Returns all lines, without "error:"."""
        return "\n".join([self.message, *(f"  {line}" for line in self.details)])

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the lines to standard error."""
        click.echo(f"error: {self.format_message()}", file=file, err=file is None)

"""The one error type of the service: a code, a line for people, and nothing secret."""

from enum import Enum

__all__ = ["Code", "FieldProblem", "PenstockError"]

from dataclasses import dataclass


class Code(Enum):
    """Names every way in which an operation can refuse; rpc/status.py maps each to one gRPC status."""

    INVALID = "invalid"
    """The request is malformed; `problems` says where."""
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """The same name or request id with another content."""
    WRONG_STATE = "wrong_state"
    """The thing is not in a state in which that can be done."""
    EXHAUSTED = "exhausted"
    """A limit is reached; try again later."""
    UNAVAILABLE = "unavailable"
    """The database or the audit log cannot be written or read now."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """Says what is wrong with one field; `where` is a path such as "rules[2].when (line 14)"."""

    where: str
    what: str


class PenstockError(Exception):
    """Refuses an operation. reason: stable UPPER_SNAKE name for programs; message: one line that says what to do."""

    def __init__(
        self,
        code: Code,
        reason: str,
        message: str,
        *,
        problems: tuple[FieldProblem, ...] = (),
        retry_after_ms: int | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.problems = problems
        self.retry_after_ms = retry_after_ms
        self.metadata = metadata or {}

"""The one error type."""

from penstock_server.domain.errors import Code, FieldProblem, PenstockError


def test_an_error_holds_what_programs_and_people_need() -> None:
    """Its text is the line for people and nothing else."""
    error = PenstockError(
        Code.INVALID,
        "POLICY_INVALID",
        "mend the document",
        problems=(FieldProblem("rules[0]", "has no effect"),),
        retry_after_ms=5,
        metadata={"state": "denied"},
    )
    assert str(error) == error.message == "mend the document"
    assert (error.code, error.reason, error.retry_after_ms) == (Code.INVALID, "POLICY_INVALID", 5)
    assert error.problems == (FieldProblem("rules[0]", "has no effect"),)
    assert error.metadata == {"state": "denied"}


def test_what_is_not_said_is_empty() -> None:
    """Two errors never share their metadata."""
    one, other = (PenstockError(Code.CONFLICT, "R", "m") for _ in range(2))
    one.metadata["a"] = "b"
    assert (other.problems, other.retry_after_ms, other.metadata) == ((), None, {})

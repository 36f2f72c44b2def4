"""Refusals: what an agent gets to read, in the dialect of its client, and with the status that stops it."""

import json
from typing import Any

import pytest

from penstock._core import incoming
from penstock._core.refusal import PENDING_RETRY_S, UNAVAILABLE_RETRY_S, Refusal, RefusedError, of_verdict, render
from penstock._core.verdict import Outcome, Verdict

REFUSAL = Refusal(403, "policy_denied", "deletions are not for agents", "no-deletes", "", "dec_1")
NASTY = 'quote " backslash \\ line\r\nset-cookie: a=b <script> \u2028 \u202e é \ud800 \0 «'


def read(response: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """Returns status line, fields and body; checks that the length is true."""
    head, _, body = response.partition(b"\r\n\r\n")
    start, *lines = head.decode("ascii").split("\r\n")
    fields = [(line.partition(": ")[0], line.partition(": ")[2]) for line in lines]
    assert all(name and name.islower() and value for name, value in fields)
    assert len({name for name, _ in fields}) == len(fields)
    assert not body or dict(fields)["content-length"] == str(len(body))
    return start, fields, body


def test_a_refusal_in_problem_details() -> None:
    """RFC 9457, with code, rule and decision as members of their own."""
    start, fields, body = read(render(REFUSAL, "problem"))
    assert start == "HTTP/1.1 403 Forbidden"
    assert dict(fields) == {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-should-retry": "false",
        "x-penstock-code": "policy_denied",
        "x-penstock-decision": "dec_1",
    }
    assert json.loads(body) == {
        "title": "Forbidden",
        "status": 403,
        "code": "policy_denied",
        "detail": "deletions are not for agents",
        "rule": "no-deletes",
        "decision": "dec_1",
    }


def test_a_refusal_to_a_client_of_the_messages_api() -> None:
    """Its clients show the message and nothing else, so reason, rule and code are all in there."""
    _, fields, body = read(render(REFUSAL, "anthropic"))
    assert dict(fields)["content-type"] == "application/json"
    message = "deletions are not for agents (rule no-deletes) [policy_denied]"
    assert json.loads(body) == {"type": "error", "error": {"type": "permission_error", "message": message}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (408, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
    ],
)
def test_error_types_of_the_messages_api(status: int, kind: str) -> None:
    """Each status has the type that this API gives it."""
    assert json.loads(read(render(Refusal(status, "x", "y"), "anthropic"))[2])["error"]["type"] == kind


@pytest.mark.parametrize("dialect", ["problem", "anthropic", "", "unknown"])
@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 413, 417, 431, 502, 503, 504, 505, 599])
def test_no_refusal_is_retried(dialect: str, status: int) -> None:
    """Every one says x-should-retry: false and is stored by no cache."""
    start, fields, _ = read(render(Refusal(status, "x", "y"), dialect))
    assert start.startswith(f"HTTP/1.1 {status} ") and len(start) > 13
    assert ("x-should-retry", "false") in fields and ("cache-control", "no-store") in fields


def test_a_refused_method_is_told_which_are_taken() -> None:
    """405 demands it (RFC 9110, section 15.5.6); they are the ones that the head's reader takes."""
    allowed = dict(read(render(Refusal(405, "x", "y"), "problem"))[1])["allow"]
    assert set(allowed.split(", ")) == incoming._METHODS
    assert "allow" not in dict(read(render(REFUSAL, "problem"))[1])


def test_a_refusal_is_dated() -> None:
    """Where its time is known."""
    assert dict(read(render(REFUSAL, "problem", now_ms=5999))[1])["date"] == "Thu, 01 Jan 1970 00:00:05 GMT"
    assert "date" not in dict(read(render(REFUSAL, "problem"))[1])


def test_an_unknown_dialect_is_problem_details() -> None:
    """There is always an answer."""
    assert render(REFUSAL, "new") == render(REFUSAL, "problem")


@pytest.mark.parametrize("dialect", ["problem", "anthropic"])
@pytest.mark.parametrize("close", [False, True])
def test_a_refusal_of_head_has_no_body(dialect: str, close: bool) -> None:
    """Its head is that of the same refusal to a GET (RFC 9110, section 9.3.2)."""
    whole = render(REFUSAL, dialect, close=close)
    head = render(REFUSAL, dialect, close=close, head_only=True)
    assert whole.startswith(head) and head.endswith(b"\r\n\r\n") and head.count(b"\r\n\r\n") == 1
    assert (b"\r\nconnection: close\r\n" in head) is close


@pytest.mark.parametrize(("seconds", "value"), [(0, None), (5, "5"), (30, "30")])
def test_when_to_come_back(seconds: int, value: str | None) -> None:
    """In seconds, and not at all where nothing will change."""
    fields = read(render(Refusal(503, "x", "y", retry_after_s=seconds), "problem"))[1]
    assert dict(fields).get("retry-after") == value


@pytest.mark.parametrize("dialect", ["problem", "anthropic"])
def test_whatever_text_there_is_stays_inside_of_its_member(dialect: str) -> None:
    """A reason or a name with quotes, line ends or control characters opens neither a header nor a member."""
    response = render(Refusal(403, "denied", NASTY, NASTY, NASTY), dialect)
    _, fields, body = read(response)
    assert "set-cookie" not in dict(fields)
    assert body.isascii() and not any(byte < 0x20 for byte in body)
    parsed: Any = json.loads(body)
    if dialect == "problem":
        assert (parsed["detail"], parsed["rule"], parsed["approval"]) == (NASTY, NASTY, NASTY)
    else:
        assert parsed["error"]["message"] == f"{NASTY} (rule {NASTY}) [denied]"


@pytest.mark.parametrize("text", ["a\r\nset-cookie: a=b", "a\r\n\r\nHTTP/1.1 200 OK", "a\nb", "é", "a\0b"])
@pytest.mark.parametrize("member", ["code", "decision"])
def test_nothing_that_the_service_says_opens_a_header(text: str, member: str) -> None:
    """Code and decision stand in headers: they take one line there, whatever they hold."""
    refusal = Refusal(403, text, "y") if member == "code" else Refusal(403, "x", "y", decision=text)
    head = render(refusal, "problem", head_only=True)
    assert head.count(b"\r\n\r\n") == 1
    fields = read(head)[1]
    assert "set-cookie" not in dict(fields)
    assert not any(byte < 0x20 and byte not in b"\r\n" for byte in head)
    assert head.count(b"\n") == head.count(b"\r\n")


# What a verdict stands for.


@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        (
            Verdict("c", Outcome.DENY, "dec_1", "rule_denied", "no-deletes", "not for agents"),
            Refusal(403, "rule_denied", "not for agents", "no-deletes", "", "dec_1"),
        ),
        (Verdict("c", Outcome.DENY), Refusal(403, "policy_denied", "")),
        (
            Verdict("c", Outcome.UNAVAILABLE, reason="away"),
            Refusal(503, "service_unavailable", "away", retry_after_s=UNAVAILABLE_RETRY_S),
        ),
        (
            Verdict("c", Outcome.DENY, code="service_unavailable", reason="full"),
            Refusal(503, "service_unavailable", "full", retry_after_s=UNAVAILABLE_RETRY_S),
        ),
        (
            Verdict("c", Outcome.PENDING, "dec_2", "", "ask-people", "refunds are looked at", approval="apr_1"),
            Refusal(
                403,
                "approval_pending",
                "refunds are looked at (apr_1 is pending: send the same request again once it is granted)",
                "ask-people",
                "apr_1",
                "dec_2",
                PENDING_RETRY_S,
            ),
        ),
    ],
)
def test_a_verdict_becomes_a_refusal(verdict: Verdict, refusal: Refusal) -> None:
    """A denial and a pending approval are a 403, no answer is a 503."""
    assert of_verdict(verdict) == refusal


def test_a_pending_verdict_without_a_reason_still_says_what_to_do() -> None:
    """The approval is named, and that the same request is to be sent again."""
    refusal = of_verdict(Verdict("c", Outcome.PENDING, approval="apr_9"))
    assert "apr_9" in refusal.reason and "again" in refusal.reason
    assert read(render(refusal, "problem"))[1][-1] == ("retry-after", str(PENDING_RETRY_S))


def test_a_refused_error_carries_its_refusal() -> None:
    """Its own text is the code alone: tracebacks are logged."""
    error = RefusedError(400, "bad_request", "the reason")
    assert error.refusal == Refusal(400, "bad_request", "the reason")
    assert str(error) == "bad_request"

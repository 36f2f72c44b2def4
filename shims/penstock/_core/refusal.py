"""Says no to an agent: one typed refusal, written in the dialect that the upstream's clients understand.

In: a status, a stable code and one line for people. Out: the bytes of a whole HTTP/1.1 response.
Statuses follow what clients do with them (measured): 403 ends a turn, while 400 and 401 make agents retry; a 503 ends
it only with `x-should-retry: false`, which is therefore on every refusal.
"""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus

from penstock._core.http_date import http_date
from penstock._core.verdict import Outcome, Verdict

__all__ = ["ALLOWED", "Refusal", "RefusedError", "of_verdict", "render"]

PENDING_RETRY_S = 30
"""When an agent should ask again about a pending approval, seconds: people look at a queue about twice a minute."""
UNAVAILABLE_RETRY_S = 5
"""When it makes sense to ask again while the service is away, seconds."""

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
}
"""Error types of the Messages API by status; any other status is an "api_error"."""

_UNNAMED = re.compile(r"[^A-Za-z0-9._:-]")
"""What the service's names never hold; in a header it could begin another one."""

ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""Methods that the shim takes, as an answer 405 says it (RFC 9110, section 15.5.6)."""

_UNAVAILABLE_CODES = frozenset({"service_unavailable"})
"""Codes of denials that say nothing about the request: they are answered 503, as a lost service is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Holds one refusal; reason: one line for people, without secrets, that says what to do next.

    retry_after_s: seconds, 0 for none. rule, approval, decision: names, empty where there are none.
    """

    status: int
    code: str
    reason: str
    rule: str = ""
    approval: str = ""
    decision: str = ""
    retry_after_s: int = 0


class RefusedError(Exception):
    """Carries a refusal out of nested checks."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(code)
        self.refusal = Refusal(status, code, reason)

    @classmethod
    def of(cls, refusal: Refusal) -> "RefusedError":
        """Returns the error that carries the refusal."""
        error = cls(refusal.status, refusal.code, refusal.reason)
        error.refusal = refusal
        return error


def of_verdict(verdict: Verdict) -> Refusal:
    """Returns the refusal that a verdict other than ALLOW and NEED_BODY stands for."""
    code, reason = verdict.code, verdict.reason
    if verdict.outcome is Outcome.PENDING:
        code = code or "approval_pending"
        waits = f"{verdict.approval} is pending: send the same request again once it is granted"
        reason = f"{reason or 'a person must approve this'} ({waits})"
        status, retry = 403, PENDING_RETRY_S
    elif verdict.outcome is Outcome.UNAVAILABLE or code in _UNAVAILABLE_CODES:
        code, status, retry = code or "service_unavailable", 503, UNAVAILABLE_RETRY_S
    else:
        code, status, retry = code or "policy_denied", 403, 0
    return Refusal(status, code, reason, verdict.rule, verdict.approval, verdict.decision_id, retry)


def render(
    refusal: Refusal, dialect: str, *, head_only: bool = False, close: bool = False, now_ms: int | None = None
) -> bytes:
    """Returns the response. dialect: "anthropic", or "problem" (RFC 9457) for any other. head_only: it answers HEAD.

    now_ms: UTC milliseconds for its Date.
    """
    anthropic = dialect == "anthropic"
    body = json.dumps(_anthropic(refusal) if anthropic else _problem(refusal)).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {_title(refusal.status)}",
        f"content-type: application/{'json' if anthropic else 'problem+json'}",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-should-retry: false",
        f"x-penstock-code: {_name(refusal.code)}",
    ]
    if now_ms is not None:
        lines.append(f"date: {http_date(now_ms // 1000)}")
    if refusal.decision:
        lines.append(f"x-penstock-decision: {_name(refusal.decision)}")
    if refusal.retry_after_s:
        lines.append(f"retry-after: {refusal.retry_after_s}")
    if refusal.status == 405:
        lines.append(f"allow: {ALLOWED}")
    if close:
        lines.append("connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")
    return head if head_only else head + body


def _name(text: str) -> str:
    """Returns a name as a header may hold it."""
    return _UNNAMED.sub("?", text)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def _problem(refusal: Refusal) -> dict[str, object]:
    """Returns problem details (RFC 9457); members without a value are left out."""
    problem: dict[str, object] = {
        "title": _title(refusal.status),
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.reason,
    }
    for name in ("rule", "approval", "decision"):
        if value := getattr(refusal, name):
            problem[name] = value
    return problem


def _anthropic(refusal: Refusal) -> dict[str, object]:
    """Returns an error of the Messages API; its clients show nothing but the message, so all of it is in there."""
    message = refusal.reason + (f" (rule {refusal.rule})" if refusal.rule else "") + f" [{refusal.code}]"
    kind = _ANTHROPIC_TYPES.get(refusal.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}

"""Shows an approval request: exactly what would be approved, for people and for programs."""

import base64
from datetime import UTC, datetime
from typing import Any

from penstock.cli.visible import json_lines, visible
from penstock.v1 import action_pb2, approval_pb2

__all__ = ["as_json", "as_row", "as_text", "remaining", "state_name"]


def state_name(approval: approval_pb2.Approval) -> str:
    """Returns the state in lower case, e.g. "pending"; "unknown" for one of a later release."""
    try:
        return approval_pb2.ApprovalState.Name(approval.state).removeprefix("APPROVAL_STATE_").lower()
    except ValueError:
        return "unknown"


def remaining(until_ms: int, now_ms: int) -> str:
    """Returns how long something lasts, e.g. "9m05s", or "over"."""
    seconds = (until_ms - now_ms) // 1000
    if seconds < 0:
        return "over"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def _requester(principal: action_pb2.Principal) -> str:
    words = [principal.subject]
    if principal.owner:
        words.append(f"owner {principal.owner}")
    if principal.delegator:
        words.append(f"for {principal.delegator}")
    return ", ".join(words)


def _target(http: action_pb2.HttpRequest) -> str:
    return http.path + (f"?{http.query}" if http.query else "")


def as_row(approval: approval_pb2.Approval, now_ms: int) -> str:
    """Returns one line: name, state, time left, who, upstream and request."""
    http = approval.action.http
    pending = approval.state == approval_pb2.APPROVAL_STATE_PENDING
    left = remaining(approval.expires_at_ms, now_ms) if pending else "-"
    what = f"{approval.action.upstream}  {http.method} {_target(http)}"
    return visible(f"{approval.name}  {state_name(approval):9}  {left:>7}  {_requester(approval.requester)}  {what}")


def as_text(approval: approval_pb2.Approval, now_ms: int) -> str:
    """Returns everything that an approval would bind, line by line; a value can never look like another line."""
    action, http, who = approval.action, approval.action.http, approval.requester
    rows = [
        ("approval", approval.name),
        ("state", state_name(approval)),
        ("expires", f"{_time(approval.expires_at_ms)} ({remaining(approval.expires_at_ms, now_ms)})"),
        ("requester", _requester(who)),
        ("issuer", who.issuer),
        ("groups", ", ".join(who.groups)),
        ("session", f"{approval.session} (chosen by the agent)" if approval.session else ""),
        *(("rule", rule) for rule in approval.rules),
        ("reason", approval.reason),
        ("upstream", action.upstream),
        ("method", http.method),
        ("authority", http.authority),
        ("path", http.path),
        ("query", http.query),
        *(("header", f"{header.name}: {header.value.decode('utf-8', 'backslashreplace')}") for header in http.headers),
        *(("needs", _needs(requirement)) for requirement in approval.requirements),
        *(("review", _review(review)) for review in approval.reviews),
        ("digest", approval.action_digest.hex()),
    ]
    lines = [f"{label:10} {visible(value)}" for label, value in rows if value]
    return "\n".join(lines + _body_lines(approval))


def _time(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def _needs(requirement: approval_pb2.Requirement) -> str:
    who = " or ".join(
        " and ".join(
            f"{word} {value}"
            for word, value in (("group", m.group), ("person", m.subject), ("issuer", m.issuer), ("owner", m.owner))
            if value
        )
        for m in requirement.reviewers
    )
    return f"{requirement.approved} of {requirement.quorum} from {who or 'nobody'} ({requirement.rule})"


def _review(review: approval_pb2.Review) -> str:
    said = "approved" if review.approved else "denied"
    return f"{review.reviewer.subject} {said} at {_time(review.at_ms)}" + (
        f": {review.reason}" if review.reason else ""
    )


def _body_lines(approval: approval_pb2.Approval) -> list[str]:
    """Returns the body behind a margin: JSON indented, other text as it is, anything else in hexadecimal digits."""
    http = approval.action.http
    if not http.body:
        withheld = http.body_state == action_pb2.BODY_STATE_WITHHELD
        return ["body       (there is one; the request does not show it)" if withheld else "body       (none)"]
    try:
        text = http.body.decode()
    except UnicodeDecodeError:
        digits = http.body.hex()
        lines = [digits[start : start + 64] for start in range(0, len(digits), 64)]
        return [f"body       {len(http.body)} bytes, not text:", *(f"  | {line}" for line in lines)]
    shown = json_lines(text)
    kind = "JSON, indented" if shown is not None else "as it is"
    lines = shown if shown is not None else text.split("\n")
    return [f"body       {len(http.body)} bytes, {kind}:", *(f"  | {visible(line)}" for line in lines)]


def as_json(approval: approval_pb2.Approval) -> dict[str, Any]:
    """Returns the request for programs: times in UTC milliseconds, digest in hexadecimal, body as text or base64."""
    action, http = approval.action, approval.action.http
    try:
        body = {"body": http.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(http.body).decode()}
    return {
        "name": approval.name,
        "state": state_name(approval),
        "requester": _principal(approval.requester),
        "session": approval.session,
        "rules": list(approval.rules),
        "reason": approval.reason,
        "upstream": action.upstream,
        "method": http.method,
        "authority": http.authority,
        "path": http.path,
        "query": http.query,
        "headers": [[header.name, header.value.decode("utf-8", "backslashreplace")] for header in http.headers],
        **body,
        "action_digest": approval.action_digest.hex(),
        "requirements": [
            {"rule": needed.rule, "quorum": needed.quorum, "approved": needed.approved}
            for needed in approval.requirements
        ],
        "reviews": [
            {
                "reviewer": _principal(review.reviewer),
                "approved": review.approved,
                "reason": review.reason,
                "at_ms": review.at_ms,
            }
            for review in approval.reviews
        ],
        "created_at_ms": approval.created_at_ms,
        "expires_at_ms": approval.expires_at_ms,
        "resolved_at_ms": approval.resolved_at_ms,
        "grant": _grant(approval),
        "policy_revision": approval.policy_revision,
    }


def _principal(principal: action_pb2.Principal) -> dict[str, Any]:
    return {
        "issuer": principal.issuer,
        "subject": principal.subject,
        "groups": list(principal.groups),
        "owner": principal.owner,
        "delegator": principal.delegator,
    }


def _grant(approval: approval_pb2.Approval) -> dict[str, Any] | None:
    if not approval.HasField("grant"):
        return None
    grant = approval.grant
    return {
        "name": grant.name,
        "uses_left": grant.uses_left,
        "start_at_ms": grant.start_at_ms,
        "end_at_ms": grant.end_at_ms,
    }

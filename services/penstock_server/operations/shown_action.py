"""What reviewers are shown of an action: all of it, stored secrets and credentials masked, as canonical JSON."""

import base64
import json
from typing import Any

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.domain.audit import canonical_json
from penstock_server.operations.redaction import Redactor

__all__ = ["action_from_json", "shown_json"]


def shown_json(action: Action, redactor: Redactor, key: bytes) -> str:
    """Returns the masked action as canonical JSON: text where it is UTF-8, else base64; see action_from_json."""
    http = action.http
    body = b""
    if http.body:
        body = redactor.body(http.body, _one(http, "content-type"), _one(http, "content-encoding"), key)
    return canonical_json(
        {
            "upstream": action.upstream,
            "method": http.method,
            "authority": http.authority,
            "path": redactor.text(http.path, key),
            "query": redactor.text(http.query, key) if http.query else "",
            "headers": [[name, _text(value)] for name, value in redactor.headers(http.headers, key)],
            "body_state": http.body_state.value,
            "body": _text(body),
        }
    )


def action_from_json(text: str) -> Action:
    """Returns the action that shown_json wrote. Raises ValueError if the text is not such a one."""
    shown: Any = json.loads(text)
    try:
        return Action(
            upstream=shown["upstream"],
            http=HttpRequest(
                method=shown["method"],
                authority=shown["authority"],
                path=shown["path"],
                query=shown["query"],
                headers=tuple((name, _bytes(value)) for name, value in shown["headers"]),
                body_state=BodyState(shown["body_state"]),
                body=_bytes(shown["body"]),
            ),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("not a shown action") from None


def _one(http: HttpRequest, header: str) -> str:
    """Returns a header's value, "" if it is absent; "several", which no masker reads, where values may contradict."""
    values = [value.decode("latin-1") for name, value in http.headers if name == header]
    return "several" if len(values) > 1 else "".join(values)


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])

"""Tests of what reviewers are shown: all of the action, masked, and it comes back as it was shown."""

import gzip
import json

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.operations.redaction import UNREADABLE, Redactor
from penstock_server.operations.shown_action import action_from_json, shown_json

KEY = bytes(32)
VALUE = "pass" + "word-0123"
REDACTOR = Redactor((("my-key", VALUE.encode()),))
JSON = ("content-type", b"application/json")


def _action(body: bytes = b"", *headers: tuple[str, bytes], path: str = "/v1/x", query: str = "") -> Action:
    state = BodyState.WHOLE if body else BodyState.NONE
    return Action("billing", HttpRequest("POST", "b.example", path, query, headers, state, body))


def _shown(action: Action) -> Action:
    return action_from_json(shown_json(action, REDACTOR, KEY))


@pytest.mark.parametrize(
    "action",
    [
        _action(),
        _action(b'{"a": [1, "\xc3\xa9"]}', JSON, ("x-b", b"\xff\x00"), query="a=b&c"),
        _action(b"\xff\xfe raw", ("content-type", b"text/plain")),
        _action(b"no type at all"),
    ],
)
def test_an_action_without_secrets_is_shown_as_it_is(action: Action) -> None:
    """Bytes that are no text survive too."""
    assert _shown(action) == action


def test_secrets_are_masked_in_every_part() -> None:
    """Path, query, header values and body."""
    secret = VALUE.encode()
    action = _action(b'{"a": "' + secret + b'"}', JSON, ("x-k", secret), path=f"/v1/{VALUE}", query=f"k={VALUE}")
    text = shown_json(action, REDACTOR, KEY)
    assert VALUE not in text and text.count("«my-key:") == 4


def test_a_body_is_read_as_its_headers_say() -> None:
    """A compressed one, or one with two types, is not shown: it might hold anything."""
    secret = VALUE.encode()
    for action in (
        _action(gzip.compress(secret), ("content-type", b"text/plain"), ("content-encoding", b"gzip")),
        _action(secret, ("content-type", b"text/plain"), JSON),
        _action(secret, ("content-type", b"image/png")),
    ):
        assert _shown(action).http.body == UNREADABLE.encode()


def test_equal_actions_are_shown_by_equal_text() -> None:
    """Canonical JSON."""
    action = _action(b"{}", JSON)
    text = shown_json(action, REDACTOR, KEY)
    assert text == shown_json(_action(b"{}", JSON), REDACTOR, KEY)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"upstream": "a"}', '{"upstream": 1, "body_state": "maybe"}'])
def test_other_text_is_refused(text: str) -> None:
    """As ValueError, as promised."""
    with pytest.raises(ValueError):
        action_from_json(text)

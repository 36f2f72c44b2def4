"""Properties of the digest: equal exactly when the actions are."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.domain.approval import Person
from penstock_server.domain.digest import action_digest, canonical_body
from penstock_server.domain.strict_json import UnreadableJsonError, parse_json

SHORT = st.text("ab:/\x00é", max_size=3)
BYTES = st.binary(max_size=3)
PERSONS = st.builds(Person, SHORT, SHORT, SHORT, SHORT)
HEADERS = st.lists(st.tuples(st.sampled_from(("x-a", "x-b", "x-ab")), BYTES), max_size=3).map(
    lambda headers: tuple(sorted(headers, key=lambda header: header[0]))
)
REQUESTS = st.builds(HttpRequest, SHORT, SHORT, SHORT, SHORT, HEADERS, st.just(BodyState.WHOLE), BYTES) | st.builds(
    HttpRequest, SHORT, SHORT, SHORT, SHORT, HEADERS
)
ACTIONS = st.builds(Action, SHORT, REQUESTS)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.text(max_size=2), inner), max_size=3, unique_by=lambda pair: pair[0].casefold()).map(
            dict
        )
    ),
    max_leaves=6,
)
"""Values whose objects have no two keys that some parsers take for one: those are read as raw bytes."""


@settings(max_examples=300, deadline=None)
@given(PERSONS, ACTIONS, PERSONS, ACTIONS)
def test_digests_are_equal_exactly_when_persons_and_actions_are(
    person: Person, action: Action, other_person: Person, other_action: Action
) -> None:
    """No text can slide from one field into the next."""
    equal = (person, action) == (other_person, other_action)
    assert (action_digest(person, action) == action_digest(other_person, other_action)) is equal


@settings(max_examples=200, deadline=None)
@given(st.lists(SHORT, min_size=9, max_size=9), st.integers(0, 7))
def test_moving_text_to_the_next_field_changes_the_digest(fields: list[str], index: int) -> None:
    """Lengths are part of the encoding."""
    moved = list(fields)
    moved[index], moved[index + 1] = fields[index][:-1], fields[index][-1:] + fields[index + 1]

    def digest(values: list[str]) -> bytes:
        return action_digest(
            Person(*values[:4]), Action(values[4], HttpRequest(values[5], values[6], values[7], values[8]))
        )

    assert (digest(fields) == digest(moved)) is (fields == moved)


def canonical(value: Any, **style: Any) -> tuple[bytes, bytes]:
    """Returns the canonical body of a JSON value written in some style."""
    body = json.dumps(value, **style).encode()
    headers = (("content-type", b"application/json"),)
    return canonical_body(Action("u", HttpRequest("POST", "h", "/", "", headers, BodyState.WHOLE, body)))


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_the_style_of_json_is_not_bound(value: Any) -> None:
    """White space, escapes and key order give the same canonical body, which still means the same value."""
    tag, body = canonical(value)
    assert tag == b"json" or b"-0" in json.dumps(value).encode()
    if tag == b"json":
        assert canonical(value, indent=2, sort_keys=True) == (tag, body)
        assert canonical(value, ensure_ascii=False) == (tag, body)
        assert parse_json(body, parse_number=float) == json.loads(json.dumps(value), parse_int=float)
        assert canonical(json.loads(body), separators=(",", ":")) == (tag, body)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON)
def test_different_json_values_have_different_canonical_bodies(one: Any, other: Any) -> None:
    """Equal canonical bodies mean equal values, types included."""
    if canonical(one) == canonical(other):
        assert json.dumps(_typed(one), sort_keys=True) == json.dumps(_typed(other), sort_keys=True)


def _typed(value: Any) -> Any:
    """Returns the value with all numbers as doubles, so that true and 1 differ and 1 and 1.0 do not."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.text('{}[]:,"\\u0d8eE+-.019 \n', max_size=30).map(str.encode))
def test_any_bytes_are_strict_json_or_unreadable(body: bytes) -> None:
    """The parser never fails in another way, and what it reads survives being written and read again."""
    try:
        value = parse_json(body)
    except UnreadableJsonError:
        return
    assert parse_json(json.dumps(value).encode()) == value

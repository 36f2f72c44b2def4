"""The digest of an action: what it binds, what it ignores, and how bodies are made canonical."""

from dataclasses import replace

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.domain.approval import Person
from penstock_server.domain.digest import NEUTRAL_HEADERS, action_digest, canonical_body

PERSON = Person("urn:i", "agent", "owner", "delegator")
JSON = ("content-type", b"application/json")
HTTP = HttpRequest("POST", "h", "/p", "q=1", (JSON,), BodyState.WHOLE, b'{"a":1}')


def digest(http: HttpRequest = HTTP, person: Person = PERSON, upstream: str = "billing") -> bytes:
    """Returns the digest of a request, by default always the same."""
    return action_digest(person, Action(upstream, http))


def body(text: bytes, content_type: bytes = b"application/json", *more: tuple[str, bytes]) -> tuple[bytes, bytes]:
    """Returns the canonical body of a text under these headers."""
    headers = (("content-type", content_type), *more)
    return canonical_body(Action("u", replace(HTTP, headers=headers, body=text)))


def test_the_encoding_never_changes_unnoticed() -> None:
    """Digests are stored: this value may only change together with the version in the prefix."""
    assert digest().hex() == "e35e3d459f5dacff014c9d5fdb50a491a0959db5d38ca57551e7434433e8f215"


@pytest.mark.parametrize(
    "other",
    [
        digest(person=replace(PERSON, issuer="urn:j")),
        digest(person=replace(PERSON, subject="agent2")),
        digest(person=replace(PERSON, owner="")),
        digest(person=replace(PERSON, owner="delegator", delegator="owner")),
        digest(upstream="billing2"),
        digest(replace(HTTP, method="PUT")),
        digest(replace(HTTP, authority="h:8")),
        digest(replace(HTTP, path="/p/")),
        digest(replace(HTTP, path="/pq", query="=1")),
        digest(replace(HTTP, query="")),
        digest(replace(HTTP, headers=())),
        digest(replace(HTTP, headers=(JSON, ("x-a", b"")))),
        digest(replace(HTTP, body=b'{"a":2}')),
        digest(replace(HTTP, body=b'{"a":null}')),
        digest(replace(HTTP, body=b'{"a":""}')),
        digest(replace(HTTP, body=b"{}")),
        digest(replace(HTTP, body=b"null")),
        digest(replace(HTTP, body=b"")),
        digest(replace(HTTP, body=b"", body_state=BodyState.NONE)),
    ],
)
def test_anything_that_says_what_is_done_is_bound(other: bytes) -> None:
    """Changing who, where or what gives another digest."""
    assert other != digest()
    assert len(other) == 32


def test_an_absent_body_differs_from_an_empty_one() -> None:
    """No body and an empty body are two actions."""
    assert digest(replace(HTTP, body=b"")) != digest(replace(HTTP, body=b"", body_state=BodyState.NONE))


@pytest.mark.parametrize("name", [*sorted(NEUTRAL_HEADERS), "x-stainless-retry-count"])
def test_a_neutral_header_is_not_bound(name: str) -> None:
    """A retry may send other neutral headers and still redeems the grant."""
    assert digest(replace(HTTP, headers=(JSON, (name, b"v")))) == digest()


def test_the_order_of_different_headers_is_not_bound_and_that_of_equal_names_is() -> None:
    """Order between names means nothing in HTTP; order within a name does."""
    a, b, c = ("x-a", b"1"), ("x-b", b"2"), ("x-a", b"3")
    assert digest(replace(HTTP, headers=(a, b, c))) == digest(replace(HTTP, headers=(b, a, c)))
    assert digest(replace(HTTP, headers=(a, b, c))) != digest(replace(HTTP, headers=(c, b, a)))


def test_a_withheld_body_has_no_digest() -> None:
    """An approval binds the whole body or nothing at all."""
    with pytest.raises(ValueError, match="withheld"):
        digest(replace(HTTP, body_state=BodyState.WITHHELD))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (b' { "b" : 1 , "a" : [ true , null ] } ', b'{"a":[true,null],"b":1}'),
        (b'{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}',
         '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'.encode()),
        (b'"\\u000F\\u000a\\"\\\\\\u0041\\/"', b'"\\u000f\\n\\"\\\\A/"'),
        (b"[1.0, 1E2, 0.0, 4.5, 2e-3, 1e21, 1e20, 0.000001, 1e-7, -2.50]",
         b"[1,100,0,4.5,0.002,1e+21,100000000000000000000,0.000001,1e-7,-2.5]"),
        (b"9007199254740992", b"9007199254740992"),
    ],
)  # fmt: skip
def test_json_is_bound_in_its_canonical_form(text: bytes, canonical: bytes) -> None:
    """White space, key order and ways to write the same number or string are not bound (RFC 8785, 3.2)."""
    assert body(text) == (b"json", canonical)
    assert body(text, b"application/problem+json; charset=utf-8") == (b"json", canonical)


@pytest.mark.parametrize(
    "text",
    [
        b"9007199254740993",
        b"0.1000000000000000055511151231257827",
        b"1e400",
        b"1e-400",
        b"1e-9999999999999999999999",
        b"1e99999999999999999999",
        b"-0",
        b"-0.0",
        b"1" * 400,
        b'{"a":1,"a":1}',
        b"[NaN]",
        b'"\\ud800"',
        b"\xff",
        b"[",
    ],
)
def test_json_that_a_parser_may_read_otherwise_is_bound_byte_for_byte(text: bytes) -> None:
    """Where a double would change a number, or the text is not strict JSON, every byte counts."""
    assert body(text) == (b"raw", text)


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/jsonl", b"application/json; charset=utf-16"])
def test_a_body_that_is_not_said_to_be_json_is_bound_byte_for_byte(content_type: bytes) -> None:
    """Only a JSON content-type in UTF-8 makes white space meaningless."""
    assert body(b"{ }", content_type) == (b"raw", b"{ }")


def test_an_encoded_body_is_bound_byte_for_byte() -> None:
    """A content-encoding means that the bytes are not the text."""
    assert body(b"{ }", b"application/json", ("content-encoding", b"br")) == (b"raw", b"{ }")

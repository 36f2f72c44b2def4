"""Attributes: how each is read from a request, and what is missing."""

from datetime import UTC, datetime

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.domain.attributes import ATTRIBUTES, MISSING, Attributes, reads_body
from penstock_server.domain.principal import Principal

PRINCIPAL = Principal("urn:i", "s", frozenset({"b", "a"}), owner="o", delegator="d", session="sid")


def attributes(principal: Principal = PRINCIPAL, **http: object) -> Attributes:
    """Returns the attributes of a request with these HTTP fields."""
    fields = {"method": "POST", "authority": "h:1", "path": "/p"} | http
    return Attributes(principal, Action("billing", HttpRequest(**fields)), 1_500)  # type: ignore[arg-type]  # test data


def whole(body: bytes) -> Attributes:
    """Returns the attributes of a request whose whole body was sent."""
    return attributes(body_state=BodyState.WHOLE, body=body, headers=(("content-type", b"application/json"),))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("principal.issuer", "urn:i"),
        ("principal.subject", "s"),
        ("principal.groups", ["a", "b"]),
        ("principal.owner", "o"),
        ("principal.delegator", "d"),
        ("session.id", "sid"),
        ("upstream.name", "billing"),
        ("request.protocol", "http"),
        ("request.method", "POST"),
        ("request.authority", "h:1"),
        ("request.path", "/p"),
        ("request.params", {}),
        ("request.query", {}),
        ("request.headers", {}),
        ("request.json", MISSING),
        ("now", datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
    ],
)
def test_each_attribute_has_its_value(name: str, value: object) -> None:
    """Every declared attribute is read from where its name says."""
    assert attributes().value(name) == value


def test_every_attribute_is_covered_here() -> None:
    """The table above names all attributes."""
    assert len(ATTRIBUTES) == 16


@pytest.mark.parametrize("name", ["principal.owner", "principal.delegator", "session.id"])
def test_an_empty_claim_is_missing(name: str) -> None:
    """A principal without an owner, delegator or session has no such attribute, rather than an empty one."""
    assert attributes(Principal("i", "s")).value(name) is MISSING


def test_params_follow_the_rule_at_hand() -> None:
    """Captured segments are those of the rule whose condition is asked, never cached."""
    request = attributes()
    request.params = {"id": "1"}
    assert request.value("request.params") == {"id": "1"}
    request.params = {"id": "2"}
    assert request.value("request.params") == {"id": "2"}


def test_repeated_headers_are_joined() -> None:
    """Values of one header name are joined with a comma, in order; bytes read as ISO-8859-1."""
    request = attributes(headers=(("x-a", b"1"), ("x-b", b"\xe9"), ("x-a", b"2")))
    assert request.value("request.headers") == {"x-a": "1, 2", "x-b": "\xe9"}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("a=1&b=%20x+y&c=", {"a": "1", "b": " x y", "c": ""}),
        ("a=1&a=2", MISSING),
        ("a=1&%61=2", MISSING),
        ("a=%FF", MISSING),
        ("a=1;b=2", MISSING),
        ("role=1&Role=2", MISSING),
        ("role=1&%20role=2", MISSING),
        ("role=1&role%00x=2", MISSING),
        ("r.ole=1&r_ole=2", MISSING),
        ("role=1&role[]=2", MISSING),
        ("role[0]=2&role=1", MISSING),
        ("a[x]=1&a[y]=2&b[]=3", {"a[x]": "1", "a[y]": "2", "b[]": "3"}),
        ("&".join(f"k{index}=" for index in range(1001)), MISSING),
    ],
)
def test_a_query_that_upstreams_may_read_differently_is_missing(query: str, value: object) -> None:
    """A repeated name, bytes that are no text, or too many fields leave no query to judge by."""
    assert attributes(query=query).value("request.query") == value


def test_a_json_body_is_read_once_it_is_whole() -> None:
    """The body's value exists only where all of it was sent."""
    assert whole(b'{"a": 1}').value("request.json") == {"a": 1}
    assert whole(b"").value("request.json") is MISSING
    assert attributes(body_state=BodyState.WITHHELD).value("request.json") is MISSING


def test_an_unreadable_body_says_why() -> None:
    """A body that is not strict JSON is missing and gives a reason; any other has none."""
    assert whole(b'{"a":1,"a":2}').value("request.json") is MISSING
    assert whole(b'{"a":1,"a":2}').unreadable() == "a duplicate key"
    assert whole(b"1").unreadable() == ""
    assert attributes().unreadable() == ""


def test_only_the_json_attribute_needs_the_body() -> None:
    """Conditions on anything else never make the shim wait for a body."""
    assert reads_body(frozenset({"request.json", "now"}))
    assert not reads_body(frozenset(ATTRIBUTES) - {"request.json"})

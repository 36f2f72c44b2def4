"""Conditions: what compiles, what holds, and what has no value."""

import threading
from datetime import UTC, datetime

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.conditions import MAX_SOURCE_CHARACTERS, CelCondition, ConditionInvalid, compile_condition
from penstock_server.domain.attributes import Attributes
from penstock_server.domain.policy import ConditionError
from penstock_server.domain.principal import Principal

BODY = b'{"amount": 101, "ratio": 0.5, "kind": "card", "items": [{"sku": "a"}], "note": null, "ok": true}'
NOON = int(datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp() * 1000)


def request(body: bytes = BODY) -> Attributes:
    """Returns a request that has every attribute except an owner."""
    http = HttpRequest(
        "POST",
        "h",
        "/v1/refunds/r1",
        "limit=10",
        (("x-team", b"red"), ("content-type", b"application/json")),
        BodyState.WHOLE if body else BodyState.NONE,
        body,
    )
    principal = Principal("urn:i", "agent", frozenset({"agents", "eu"}), delegator="d", session="s1")
    return Attributes(principal, Action("billing", http), NOON, {"id": "r1"})


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "request.json.amount > 100",
        "request.json.amount < 101.5",
        "request.json.ratio == 0.5",
        "request.json.items[0].sku == 'a'",
        "request.json.items.exists(item, item.sku == 'a')",
        "request.json.note == null",
        "request.json.ok == true",
        "has(request.json.kind) && !has(request.json.other)",
        "'agents' in principal.groups",
        "principal.subject == 'agent' && principal.issuer == 'urn:i' && principal.delegator == 'd'",
        "session.id == 's1' && upstream.name == 'billing'",
        "request.method == 'POST' && request.protocol == 'http' && request.authority == 'h'",
        "request.path.startsWith('/v1/') && request.params.id == 'r1'",
        "request.headers['x-team'] == 'red' && int(request.query.limit) <= 10",
        "request.path.matches('^/v1/refunds/r[0-9]+$')",
        "now.getHours() == 12 && now < timestamp('2027-01-01T00:00:00Z')",
        "true || principal.owner == 'x'",
        "principal.groups.exists(request, request == 'eu')",
        "[1, 2].all(now, now < 3)",
    ],
)
def test_a_condition_holds(source: str) -> None:
    """Every attribute can be named, with CEL's own types and macros."""
    assert compile_condition(source).holds(request()) is True


@pytest.mark.parametrize("source", ["false", "request.json.amount > 101", "false && principal.owner == 'x'"])
def test_a_condition_does_not_hold(source: str) -> None:
    """False is a value; what is decided without a missing attribute has one too."""
    assert compile_condition(source).holds(request()) is False


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("principal.owner == 'x'", "missing"),
        ("request.json.absent == 1", "missing"),
        ("request.json.items[3].sku == 'a'", "missing"),
        ("request.headers['x-none'] == 'a'", "missing"),
        ("request.params.nothing == 'a'", "missing"),
        ("request.json.kind > 100", "wrong type"),
        ("request.json.amount.deeper == 1", "wrong type"),
        ("request.json.amount + 9223372036854775807 > 0", "out of range"),
        ("int(request.json.kind) > 1", "no value"),
        ("request.path.matches(request.json.kind + '(')", "no value"),
    ],
)
def test_a_condition_without_a_value_is_an_error(source: str, kind: str) -> None:
    """A missing attribute, a wrong type or an overflow is never taken for true or for false."""
    with pytest.raises(ConditionError, match=kind):
        compile_condition(source).holds(request())


def test_a_condition_over_its_budget_is_an_error() -> None:
    """A body with very many elements cannot make a condition run on, nor turn it into an answer."""
    body = b"[" + b"1," * 30_000 + b"1]"
    with pytest.raises(ConditionError, match="budget"):
        compile_condition("request.json.all(x, x > 0)").holds(request(body))


def test_an_error_never_quotes_the_request() -> None:
    """The kind of failure is told, the data is not: errors go into the audit log."""
    secret = "sk_" + "live_1234"
    body = b'{"key": "%s", "map": {}}' % secret.encode()
    for source in ("request.json.map[request.json.key] == 1", "int(request.json.key) == 1", "request.json.key > 1"):
        with pytest.raises(ConditionError) as raised:
            compile_condition(source).holds(request(body))
        assert secret not in str(raised.value)
        assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("request.methd == 'x'", r"there is no request.methd; did you mean request.method\? \(line 1, column 8"),
        ("principal.group == 'x'", "did you mean principal.groups"),
        ("frobnicate == 1", "there is no frobnicate"),
        ("request == 1", "there is no request"),
        ("request.method == 1", "no matching overload"),
        ("request.query.limit < 10", "no matching overload"),
        ("request.method", "must be of type bool"),
        ("request.json.flag", "must be of type bool"),
        ("1", "must be of type bool"),
        ("request.method ==", "Syntax error"),
        ("has(request.json)", r"has\(request.json\) cannot be asked"),
        ("true || has( request . headers )", r"has\(request.headers\) cannot be asked"),
        ("(" * 60 + "true" + ")" * 60, "recursion"),
        ("true\x00", "control characters"),
        ("'\ud800' == ''", "surrogates"),
        ("true || " * MAX_SOURCE_CHARACTERS + "true", "at most"),
        ("true ||\n  request.jsn == 1", "line 2, column 10"),
    ],
)
def test_a_condition_that_means_nothing_does_not_compile(source: str, complaint: str) -> None:
    """Misspelt names, wrong types and broken syntax are told in one line when the policy is written."""
    with pytest.raises(ConditionInvalid, match=complaint) as raised:
        compile_condition(source)
    assert "\n" not in str(raised.value)


def test_text_in_quotes_is_no_code() -> None:
    """has() is only refused where it is code."""
    assert compile_condition("request.path != 'has(request.json)' // has(request.json)").holds(request())


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("true", set()),
        ("request.json.a.b == 1 && now > timestamp(0)", {"request.json", "now"}),
        ("request . json . a == 1", {"request.json"}),
        (".request.json.a == 1", {"request.json"}),
        ("request.path == 'request.json'", {"request.path"}),
        ("principal.groups.exists(request, request == 'a')", {"principal.groups"}),
        ("request.json.all(x, x == request.path)", {"request.json", "request.path"}),
    ],
)
def test_what_a_condition_reads_is_known(source: str, reads: set[str]) -> None:
    """Names come from the checked expression: never from strings, never missed for white space."""
    assert compile_condition(source).reads == reads


def test_conditions_of_the_same_source_are_equal() -> None:
    """Parsing a document twice gives equal policies."""
    one, two = compile_condition("now > timestamp(0)"), compile_condition("now > timestamp(0)")
    assert one == two and hash(one) == hash(two)
    assert one != compile_condition("now > timestamp(1)")
    assert repr(one) == "CelCondition('now > timestamp(0)')"


def test_a_result_that_is_not_bool_is_an_error() -> None:
    """Whatever the library returns, only a bool that is True holds."""

    class Result:
        def type(self) -> str:
            return "STRING"

        def value(self) -> str:
            return "true"

    class Expression:
        def eval(self, **_: object) -> Result:
            return Result()

    with pytest.raises(ConditionError):
        CelCondition("x", Expression(), frozenset()).holds(request())


def test_a_condition_is_safe_on_many_threads() -> None:
    """One compiled condition gives every thread the answer to its own request."""
    condition = compile_condition("request.json.amount > 100")
    wrong: list[int] = []

    def ask(amount: int) -> None:
        one = request(b'{"amount": %d}' % amount)
        wrong.extend(amount for _ in range(500) if condition.holds(one) is not (amount > 100))

    threads = [threading.Thread(target=ask, args=(amount,)) for amount in (50, 100, 101, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

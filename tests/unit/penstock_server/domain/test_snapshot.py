"""Snapshots: rules indexed by upstream and method, and the explanation of refusals."""

import pytest

from penstock._core.describe import Action, HttpRequest
from penstock_server.domain.evaluate import Outcome
from penstock_server.domain.policy import Effect, HttpMatch, Policy, PrincipalMatch, Rule, Upstream
from penstock_server.domain.principal import Principal
from penstock_server.domain.snapshot import Snapshot

AGENT = Principal("urn:i", "agent", frozenset({"agents"}))
POLICY = Policy(
    upstreams=(Upstream("billing", "https://b.example", "/billing"), Upstream("mail", "https://m.example", "/mail")),
    rules=(
        Rule("get-billing", Effect.ALLOW, upstreams=("billing",), http=HttpMatch(methods=("GET",))),
        Rule("mail", Effect.ALLOW, upstreams=("mail",), principals=(PrincipalMatch(group="admins"),)),
        Rule("any-post", Effect.ALLOW, http=HttpMatch(methods=("POST",), paths=("/open/**",))),
        Rule("no-trace", Effect.DENY, http=HttpMatch(methods=("TRACE",))),
    ),
)
SNAPSHOT = Snapshot(POLICY, 3, 7)


@pytest.mark.parametrize(
    ("upstream", "method", "path", "code"),
    [
        ("billing", "GET", "/x", ""),
        ("billing", "POST", "/open/x", ""),
        ("mail", "POST", "/open/x", ""),
        ("billing", "POST", "/x", "no_rule"),
        ("billing", "get", "/x", "no_rule"),
        ("billing", "PURGE", "/x", "no_rule"),
        ("mail", "GET", "/x", "no_rule"),
        ("mail", "TRACE", "/x", "policy_denied"),
        ("nowhere", "GET", "/x", "upstream_unknown"),
        ("", "GET", "/x", "upstream_unknown"),
    ],
)
def test_an_action_is_judged_by_the_rules_of_its_upstream_and_method(
    upstream: str, method: str, path: str, code: str
) -> None:
    """Methods are compared as they are, empty lists match all, and what is not known is refused."""
    found = SNAPSHOT.evaluate(AGENT, Action(upstream, HttpRequest(method, "h", path)), 0)
    assert found.code == code
    assert found.outcome is (Outcome.DENY if code else Outcome.ALLOW)


def test_a_refusal_for_want_of_a_rule_explains_near_misses() -> None:
    """Rules under other methods are explained too, though the index leaves them out."""
    found = SNAPSHOT.evaluate(AGENT, Action("billing", HttpRequest("PUT", "h", "/open/x")), 0)
    assert found.near_misses == (("any-post", "http.methods"), ("get-billing", "http.methods"))
    assert SNAPSHOT.evaluate(AGENT, Action("mail", HttpRequest("GET", "h", "/x")), 0).near_misses == (
        ("mail", "principals"),
    )


def test_it_knows_its_upstreams_and_its_place() -> None:
    """A snapshot carries the revision and epoch that it was made of."""
    upstream = SNAPSHOT.upstream("billing")
    assert upstream is not None and upstream.mount == "/billing"
    assert SNAPSHOT.upstream("nowhere") is None
    assert (SNAPSHOT.revision, SNAPSHOT.epoch) == (3, 7)


def test_its_text_shows_no_rules() -> None:
    """Rules never leave the service, not even in a log line."""
    assert repr(SNAPSHOT) == "Snapshot(revision=3, epoch=7)"

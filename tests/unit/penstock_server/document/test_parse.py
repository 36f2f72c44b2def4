"""Whole documents: what they become, and that every problem is told at once."""

import pytest

from penstock_server.domain.policy import (
    SECRET_NAME,
    ApprovalTerms,
    CredentialUse,
    Dialect,
    Effect,
    HttpMatch,
    Mask,
    Policy,
    PrincipalMatch,
    Upstream,
)
from unit.penstock_server.document.policies import FULL, problems, read


def test_a_full_document_becomes_a_policy() -> None:
    """Every key arrives in its field, lists of names sorted, times in milliseconds."""
    policy = read(FULL).policy
    assert policy.secrets == ("billing-key",)
    assert policy.upstreams == (
        Upstream(
            name="billing",
            url="https://billing.example/base",
            mount="/pay",
            dialect=Dialect.ANTHROPIC,
            credential=CredentialUse("billing-key", "x-api-key", "key {}"),
            token_from=("x-api-key", "authorization"),
        ),
        Upstream(name="local", url="http://127.0.0.1:8080", mount="/local", private_addresses=True),
    )
    masks, reads, refunds = policy.rules
    assert masks.mask == (Mask(detectors=("all", "card")), Mask(json="/customers/*/iban"), Mask(header="x-debug"))
    assert (reads.effect, reads.http, reads.shadow) == (Effect.ALLOW, HttpMatch(methods=("GET",)), False)
    assert refunds.principals == (PrincipalMatch("agents", issuer="urn:i"), PrincipalMatch(subject="s", owner="o"))
    assert refunds.upstreams == ("billing",)
    assert refunds.http == HttpMatch(("POST", "PUT"), ("/v1/refunds/{id}", "/v1/**"))
    assert refunds.when is not None and refunds.when.reads == {"request.json"}
    assert refunds.approval == ApprovalTerms((PrincipalMatch("finance"),), 2, 3_600_000, 3, 86_400_000, 500)
    assert (refunds.strict_audit, refunds.shadow, refunds.reason) == (True, True, "refunds are looked at")


@pytest.mark.parametrize("text", ["{}", "upstreams: {}\nrules: []\nsecrets: []\n", "# nothing\n{}"])
def test_an_empty_policy_is_valid(text: str) -> None:
    """No rules mean that nothing is allowed; that is a policy too."""
    assert read(text).policy == Policy()


def test_every_problem_is_told_at_once_in_the_order_of_the_document() -> None:
    """One round is enough to see all that is wrong, each with its line."""
    text = "detectors: {}\nrules:\n  - name: x\n    effect: alow\n    when: now\nsecrts: [a]\n"
    assert problems(text) == {
        "detectors (line 1)": "is reserved: own detectors do not exist in this version; remove it",
        "rules[0].effect (line 4)": 'must be one of allow, deny, require_approval, mask, not "alow"',
        "rules[0].when (line 5)": "a condition must be of type bool, this one is TIMESTAMP; "
        "compare it, e.g. with == true",
        "secrts (line 6)": 'unknown key "secrts"; did you mean "secrets"?',
    }


def test_a_broken_upstream_is_not_blamed_on_the_rules_that_name_it() -> None:
    """Only a name that does not occur at all is the rule's problem."""
    text = "upstreams: {a: {url: x}}\nrules: [{name: r, effect: deny, match: {upstreams: [a, b]}}]"
    assert list(problems(text)) == ["upstreams.a.url (line 1)", "rules[0].match.upstreams[1] (line 2)"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("secrets: {a: b}", "secrets (line 1)"),
        ("secrets: [a, a]", "secrets[1] (line 1)"),
        ("secrets: [a b]", "secrets[0] (line 1)"),
        ("secrets: [1]", "secrets[0] (line 1)"),
        ("rules: {}", "rules (line 1)"),
        ("rules:", "rules (line 1)"),
        ("upstreams: []", "upstreams (line 1)"),
        ("[]", "line 1"),
        ("text", "line 1"),
    ],
)
def test_a_section_of_the_wrong_kind_is_refused(text: str, where: str) -> None:
    """Each section has one form."""
    assert list(problems(text)) == [where]


@pytest.mark.parametrize("name", ["A", "-a", "a/b", "é", "a" * 64])
def test_a_secret_is_called_what_it_can_be_stored_as(name: str) -> None:
    """One rule for the document and the store, or the policy would name what nobody can put."""
    assert list(problems(f"secrets: [{name}]")) == ["secrets[0] (line 1)"]
    assert SECRET_NAME.fullmatch(name) is None
    longest = "a" * 63
    assert read(f"secrets: [{longest}]").policy.secrets == (longest,)


def test_a_secret_in_the_place_of_a_name_is_not_quoted() -> None:
    """Whoever pastes a value into the document does not find it in an error as well."""
    value = "sk_" + "live_abc/def"
    assert value not in str(problems(f"secrets: [{value}]"))

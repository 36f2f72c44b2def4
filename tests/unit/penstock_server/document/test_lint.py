"""Warnings: valid rules that may not mean what their author thinks."""

import pytest

from penstock_server.document import conceals_absence
from unit.penstock_server.document.policies import read


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("request.json.a > 1 && request.path == '/x'", ()),
        ("request.path == 'has(!?)'", ()),
        ('request.path == "it\'s !" // why not?', ()),
        ("'agents' in principal.groups", ()),
        ("has(request.json.a)", ("has()",)),
        ("!(request.json.a > 1)", ("negation",)),
        ("request.json.a != 1", ("negation",)),
        ("request.json.a > 1 ? true : false", ("a ternary",)),
        ("'x' in request.headers", ("in, size or a macro over a map or list",)),
        ("size(request.query) > 0", ("in, size or a macro over a map or list",)),
        ("request.json.items.exists(i, i > 1)", ("in, size or a macro over a map or list",)),
    ],
)
def test_constructs_that_conceal_absence_are_found(source: str, found: tuple[str, ...]) -> None:
    """Only code counts, not what stands in quotes or comments."""
    assert conceals_absence(source) == found


def warnings(rules: str, upstreams: str = 'u: {url: "https://a"}') -> tuple[str, ...]:
    """Returns the warnings of a document."""
    return read(f"secrets: [k]\nupstreams: {{{upstreams}}}\nrules:\n{rules}").warnings


def test_a_sound_policy_has_no_warnings() -> None:
    """Nothing is said about what is clear."""
    allow = "- {name: a, effect: allow, match: {principals: [{group: g}]}}"
    rules = f"{allow}\n- {{name: d, effect: deny, when: now > timestamp(0)}}"
    assert warnings(rules, 'u: {url: "https://a", credential: {secret: k}}') == ()


@pytest.mark.parametrize("effect", ["deny", "require_approval, approval: {reviewers: [{group: g}]}"])
def test_a_refusing_rule_that_conceals_absence_is_doubtful(effect: str) -> None:
    """The author is told by name and line."""
    found = warnings(f"- {{name: d, when: has(request.json.a) && now != timestamp(0), effect: {effect}}}")
    assert any(line.startswith('rule "d" (line 4): its condition uses has() and negation;') for line in found)


def test_an_allow_or_mask_may_use_any_construct() -> None:
    """Absence cannot turn their refusal into an allow."""
    assert not any("condition" in line for line in warnings("- {name: a, when: '!false', effect: allow}"))


def test_a_promise_that_is_not_kept_yet_is_told() -> None:
    """Strict audit has nothing to be stricter than."""
    rule = "- {{name: a, effect: allow, match: {{principals: [{{group: g}}]}}, audit: {}}}"
    u = 'u: {url: "https://a", credential: {secret: k}}'
    assert warnings(rule.format("normal"), u) == ()
    assert warnings(rule.format("strict"), u) == (
        'rule "a" (line 4): audit: strict is the same as normal in this version: no answer is reused yet',
    )


def test_an_allow_for_everyone_is_doubtful() -> None:
    """An allow without principals is told, most loudly if it has no match at all."""
    assert 'rule "a" (line 4): it allows everyone everything on every upstream' in warnings(
        "- {name: a, effect: allow}"
    )
    found = warnings("- {name: a, effect: allow, match: {upstreams: [u]}}")
    assert 'rule "a" (line 4): it names no principals, so it allows every agent' in found


def test_upstreams_and_secrets_without_use_are_told() -> None:
    """An upstream that nothing permits, and a secret that nothing takes."""
    assert warnings("- {name: m, effect: mask, mask: [{header: a}]}") == (
        'upstream "u": no rule permits anything, so every request is refused',
        'secret "k": no upstream uses it',
    )

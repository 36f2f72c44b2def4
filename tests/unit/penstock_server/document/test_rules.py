"""Rules: what each key may hold, and which keys belong to which effect."""

import pytest

from penstock_server.domain.policy import ApprovalTerms, Effect, HttpMatch, Mask, PrincipalMatch, Rule
from unit.penstock_server.document.policies import problems, read

UPSTREAM = 'upstreams: {u: {url: "https://a"}}\n'


def one(keys: str) -> Rule:
    """Returns the rule "r" with these keys."""
    [rule] = read(f"{UPSTREAM}rules: [{{name: r, {keys}}}]").policy.rules
    return rule


def wrong(keys: str) -> dict[str, str]:
    """Returns what is wrong with the rule "r"."""
    return problems(f"{UPSTREAM}rules: [{{name: r, {keys}}}]")


def test_defaults() -> None:
    """A rule that says only its effect matches everything, is enforced, and audited normally."""
    assert one("effect: deny") == Rule("r", Effect.DENY)
    assert one("effect: deny, match: {}, mode: enforce, audit: normal") == Rule("r", Effect.DENY)


def test_defaults_of_approval_terms() -> None:
    """One reviewer, ten minutes to decide, one use within five minutes, held for one minute."""
    rule = one("effect: require_approval, approval: {reviewers: [{group: g}]}")
    assert rule.approval == ApprovalTerms((PrincipalMatch(group="g"),), 1, 600_000, 1, 300_000, 60_000)


def test_a_match_may_hold_any_of_its_parts() -> None:
    """Methods alone and paths alone are fine."""
    assert one("effect: deny, match: {http: {methods: [GET]}}").http == HttpMatch(("GET",))
    assert one('effect: deny, match: {http: {paths: ["/**"]}}').http == HttpMatch((), ("/**",))
    assert one("effect: deny, match: {upstreams: [u]}").upstreams == ("u",)


@pytest.mark.parametrize("name", ["card", "email", "secrets", "personal", "all"])
def test_masks_name_detectors_and_families(name: str) -> None:
    """Known detectors and the three families are accepted."""
    assert one(f"effect: mask, mask: [{{detectors: [{name}]}}]").mask == (Mask(detectors=(name,)),)


@pytest.mark.parametrize(
    ("keys", "where", "what"),
    [
        ("match: {}", "", "effect is missing"),
        ("effect: permit", ".effect", "must be one of allow, deny, require_approval, mask"),
        ("effect: deny, wen: x", ".wen", 'did you mean "when"?'),
        ("effect: deny, grpc: {}", ".grpc", "reserved"),
        ("effect: deny, mcp: {}", ".mcp", "reserved"),
        ("effect: deny, match: {grpc: {}}", ".match.grpc", "reserved"),
        ("effect: deny, match: {mcp: {}}", ".match.mcp", "reserved"),
        ("effect: deny, match: {upstream: [u]}", ".match.upstream", 'did you mean "upstreams"?'),
        ("effect: deny, match: {upstreams: u}", ".match.upstreams", "must be a list"),
        ("effect: deny, match: {upstreams: []}", ".match.upstreams", "empty list"),
        ("effect: deny, match: {upstreams: [v]}", ".match.upstreams[0]", 'there is no upstream "v"'),
        ("effect: deny, match: {principals: []}", ".match.principals", "empty list"),
        ("effect: deny, match: {principals: [{}]}", ".match.principals[0]", "at least one of"),
        ("effect: deny, match: {principals: [{role: x}]}", ".match.principals[0].role", "unknown key"),
        ("effect: deny, match: {principals: [{group: [a]}]}", ".match.principals[0].group", "must be text"),
        ("effect: deny, match: {http: {}}", ".match.http", "must hold methods or paths"),
        ("effect: deny, match: {http: {methods: [get]}}", ".match.http.methods[0]", 'did you mean "GET"?'),
        ("effect: deny, match: {http: {methods: [A B]}}", ".match.http.methods[0]", "not an HTTP method"),
        ("effect: deny, match: {http: {paths: [/a, /b/..]}}", ".match.http.paths[1]", "never occurs"),
        ("effect: deny, when: true", ".when", "must be text"),
        ("effect: deny, when: request.jason == 1", ".when", "did you mean request.json?"),
        ("effect: deny, mode: dry", ".mode", "must be one of enforce, shadow"),
        ("effect: deny, audit: none", ".audit", "must be one of normal, strict"),
        ('effect: deny, reason: "a\\nb"', ".reason", "one line"),
        ("effect: require_approval", "", "approval is missing"),
        ("effect: mask", "", "mask is missing"),
        ("effect: allow, mask: [{detectors: [card]}]", ".mask", "only belongs to a rule with effect: mask"),
        ("effect: deny, approval: {reviewers: [{group: g}]}", ".approval", "effect: require_approval"),
        ("effect: require_approval, approval: {}", ".approval", "reviewers is missing"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], auto: true}", ".approval.auto", "reserved"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], quorum: 0}", ".approval.quorum", "1 to 10"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], hold: 1h}", ".approval.hold", "to 10m"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], pending_ttl: 0s}", ".approval.pending_ttl",
         "from 1s to 7d"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], grant: {uses: 0}}", ".approval.grant.uses",
         "1 to 1000"),
        ("effect: require_approval, approval: {reviewers: [{group: g}], grant: {ttl: 31d}}", ".approval.grant.ttl",
         "to 30d"),
        ("effect: mask, mask: []", ".mask", "empty list"),
        ("effect: mask, mask: [{}]", ".mask[0]", "exactly one of"),
        ("effect: mask, mask: [{json: /a, header: b}]", ".mask[0]", "exactly one of"),
        ("effect: mask, mask: [{json: a/b}]", ".mask[0].json", "JSON pointer"),
        ("effect: mask, mask: [{json: /a~2}]", ".mask[0].json", "JSON pointer"),
        ("effect: mask, mask: [{header: a b}]", ".mask[0].header", "header name"),
        ("effect: mask, mask: [{detectors: [cards]}]", ".mask[0].detectors[0]", 'there is no detector "cards"'),
    ],
)  # fmt: skip
def test_a_wrong_key_is_refused_at_its_place(keys: str, where: str, what: str) -> None:
    """Each problem points at the key and says what would be right."""
    found = wrong(keys)
    assert list(found) == [f"rules[0]{where} (line 2)"]
    assert what in found[f"rules[0]{where} (line 2)"]


def test_names_are_required_and_unique() -> None:
    """A rule is known by its name, everywhere."""
    found = problems(
        "rules:\n- {effect: deny}\n- {name: a, effect: deny}\n- {name: a, effect: deny}\n- {name: a b}\n- x"
    )
    assert found["rules[0] (line 2)"] == "name is missing"
    assert found["rules[2].name (line 4)"] == 'another rule is named "a", in line 3'
    assert "must be a name" in found["rules[3].name (line 5)"]
    assert found["rules[4] (line 6)"] == "must be a mapping of keys, not a single value"


def test_the_order_of_rules_in_the_document_means_nothing() -> None:
    """Rules come out in name order."""
    lines = ["  - {name: b, effect: deny}\n", "  - {name: a, effect: allow}\n"]
    assert read("rules:\n" + "".join(lines)).policy == read("rules:\n" + "".join(reversed(lines))).policy

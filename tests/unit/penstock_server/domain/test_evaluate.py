"""The lattice: deny > require_approval > allow > default deny, masks beside it, and bodies that are not there yet."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.domain.attributes import Attributes
from penstock_server.domain.evaluate import CompiledRule, Evaluation, Outcome, judge, near_misses, principal_matches
from penstock_server.domain.paths import compile_path
from penstock_server.domain.policy import ConditionError, Effect, HttpMatch, Mask, PrincipalMatch, Rule
from penstock_server.domain.principal import Principal

AGENT = Principal("urn:i", "agent", frozenset({"agents"}), owner="olga")


class When:
    """Stands for a compiled condition: a Python function of the attributes."""

    def __init__(self, function: Callable[[Attributes], bool], *reads: str) -> None:
        self.source = "test"
        self.reads = frozenset(reads)
        self._function = function

    def holds(self, attributes: Any) -> bool:
        """Returns what the function says."""
        return self._function(attributes)


JSON = (("content-type", b"application/json"),)


def _fail(_: Attributes) -> bool:
    raise ConditionError("a value is missing")


TRUE, FALSE, ERROR = When(lambda _: True), When(lambda _: False), When(_fail)
READS_JSON = When(lambda a: a.value("request.json") == {"a": 1}, "request.json")


def rule(name: str, effect: Effect, **fields: Any) -> Rule:
    """Returns a rule that masks something if that is its effect."""
    return Rule(name, effect, mask=(Mask(header=name),) if effect is Effect.MASK else (), **fields)


def post(body: bytes = b"", state: BodyState = BodyState.NONE, path: str = "/p/1") -> Action:
    """Returns a POST."""
    return Action("billing", HttpRequest("POST", "h", path, headers=JSON, body_state=state, body=body))


def answer(*rules: Rule, action: Action | None = None, principal: Principal = AGENT) -> Evaluation:
    """Returns the answer of these rules."""
    compiled = [CompiledRule.of(one, tuple(map(compile_path, one.http.paths if one.http else ()))) for one in rules]
    return judge(sorted(compiled, key=lambda one: one.rule.name), principal, action or post(), 0)


ALLOW = rule("a-allow", Effect.ALLOW)
APPROVE = rule("b-approve", Effect.REQUIRE_APPROVAL)
DENY = rule("c-deny", Effect.DENY)
MASK = rule("d-mask", Effect.MASK)


@pytest.mark.parametrize(
    ("rules", "outcome", "code", "decided", "made"),
    [
        ([], Outcome.DENY, "no_rule", "", ()),
        ([MASK], Outcome.DENY, "no_rule", "", ()),
        ([ALLOW], Outcome.ALLOW, "", "a-allow", ("a-allow",)),
        ([ALLOW, MASK], Outcome.ALLOW, "", "a-allow", ("a-allow", "d-mask")),
        ([APPROVE], Outcome.REQUIRE_APPROVAL, "", "b-approve", ("b-approve",)),
        ([ALLOW, APPROVE, MASK], Outcome.REQUIRE_APPROVAL, "", "b-approve", ("b-approve", "d-mask")),
        ([ALLOW, APPROVE, MASK, DENY], Outcome.DENY, "policy_denied", "c-deny", ("c-deny",)),
    ],
)
def test_the_strongest_effect_decides(
    rules: list[Rule], outcome: Outcome, code: str, decided: str, made: tuple[str, ...]
) -> None:
    """Deny beats approval beats allow; without any of them the answer is no; a mask grants nothing."""
    found = answer(*rules)
    assert (found.outcome, found.code, found.rule, found.rules) == (outcome, code, decided, made)
    assert bool(found.masks) == ("d-mask" in made)
    assert found.approval_rules == ((APPROVE,) if outcome is Outcome.REQUIRE_APPROVAL else ())


def test_the_first_name_decides_and_gives_the_reason() -> None:
    """Of several rules that deny, the first in name order is shown; all are explained."""
    one, two = rule("z-one", Effect.DENY, reason="one"), rule("y-two", Effect.DENY, reason="two")
    found = answer(one, two, ALLOW)
    assert (found.rule, found.reason, found.rules) == ("y-two", "two", ("y-two", "z-one"))


def test_a_refusal_without_reason_names_the_rule_or_the_request() -> None:
    """The agent always gets a line that says why."""
    assert answer(DENY).reason == 'the rule "c-deny" denies this'
    assert answer().reason == 'no rule allows POST /p/1 on the upstream "billing"'


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        (Effect.ALLOW, Outcome.DENY),
        (Effect.DENY, Outcome.DENY),
        (Effect.REQUIRE_APPROVAL, Outcome.REQUIRE_APPROVAL),
    ],
)
def test_a_condition_without_a_value_counts_against_the_request(effect: Effect, outcome: Outcome) -> None:
    """An error makes a deny deny, an approval rule demand approval, and an allow not match."""
    others = [] if effect is Effect.ALLOW else [ALLOW]
    found = answer(rule("e", effect, when=ERROR), *others)
    assert found.outcome is outcome
    assert found.near_misses == (("e", "when error: a value is missing"),)


def test_a_mask_whose_condition_has_no_value_applies() -> None:
    """An error makes a mask mask."""
    assert answer(ALLOW, rule("m", Effect.MASK, when=ERROR)).masks == (Mask(header="m"),)


def test_a_condition_that_is_false_does_not_match() -> None:
    """Every effect needs its condition."""
    rules = [rule(effect.value, effect, when=FALSE) for effect in Effect]
    assert answer(*rules).code == "no_rule"
    assert answer(ALLOW, *rules).outcome is Outcome.ALLOW


def test_shadow_rules_are_reported_and_never_enforced() -> None:
    """A shadow rule changes neither the outcome nor masks nor what is asked for, only the report."""
    rules = [rule(f"s-{effect}", effect, shadow=True) for effect in Effect]
    found = answer(*rules)
    assert (found.code, found.rules, found.masks) == ("no_rule", (), ())
    assert dict(found.shadow) == {f"s-{effect}": effect.value for effect in Effect}
    assert answer(*rules, ALLOW).outcome is Outcome.ALLOW


def test_a_shadow_rule_never_fetches_a_body() -> None:
    """Where the body is not there or is unreadable, the report says so."""
    shadow = rule("s", Effect.DENY, when=READS_JSON, shadow=True)
    withheld = answer(shadow, ALLOW, action=post(state=BodyState.WITHHELD))
    broken = answer(shadow, ALLOW, action=post(b"{", BodyState.WHOLE))
    assert (withheld.outcome, withheld.shadow) == (Outcome.ALLOW, (("s", "need_body"),))
    assert (broken.outcome, broken.shadow) == (Outcome.ALLOW, (("s", "body_unreadable"),))


@pytest.mark.parametrize("effect", list(Effect))
def test_a_withheld_body_is_asked_for_when_a_rule_reads_it(effect: Effect) -> None:
    """Any enforcing rule that reads the body makes the service ask for it before it permits anything."""
    found = answer(ALLOW, rule("j", effect, when=READS_JSON), action=post(state=BodyState.WITHHELD))
    assert (found.outcome, found.rule) == (Outcome.NEED_BODY, "j")
    assert found.masks == ()


def test_an_approval_binds_the_whole_body() -> None:
    """A rule that demands approval needs the body even if its condition does not read it."""
    assert answer(APPROVE, action=post(state=BodyState.WITHHELD)).outcome is Outcome.NEED_BODY
    assert answer(APPROVE, action=post(b"x", BodyState.WHOLE)).outcome is Outcome.REQUIRE_APPROVAL


def test_a_body_is_not_asked_for_where_it_cannot_matter() -> None:
    """Without a rule that fits, or with a deny that holds already, the body stays where it is."""
    withheld = post(state=BodyState.WITHHELD)
    elsewhere = rule("j", Effect.DENY, when=READS_JSON, http=HttpMatch(paths=("/other",)))
    reads = rule("k", Effect.ALLOW, when=READS_JSON)
    assert answer(ALLOW, elsewhere, action=withheld).outcome is Outcome.ALLOW
    assert answer(DENY, reads, action=withheld).code == "policy_denied"
    assert answer(rule("m", Effect.MASK, when=READS_JSON), action=withheld).code == "no_rule"


def test_a_whole_body_is_judged() -> None:
    """A condition sees the JSON value of the body."""
    reads = rule("k", Effect.ALLOW, when=READS_JSON)
    assert answer(reads, action=post(b'{"a": 1}', BodyState.WHOLE)).outcome is Outcome.ALLOW
    assert answer(reads, action=post(b'{"a": 2}', BodyState.WHOLE)).code == "no_rule"
    assert answer(reads).code == "no_rule"


@pytest.mark.parametrize("effect", list(Effect))
def test_an_unreadable_body_is_refused_where_a_rule_needs_it(effect: Effect) -> None:
    """A body with two readings is never judged by one of them."""
    found = answer(ALLOW, rule("j", effect, when=READS_JSON), action=post(b'{"a":1,"a":2}', BodyState.WHOLE))
    assert (found.outcome, found.code, found.rule) == (Outcome.DENY, "body_unreadable", "j")
    assert "a duplicate key" in found.reason


def test_an_unreadable_body_passes_where_no_rule_needs_it() -> None:
    """What no rule reads may be anything."""
    assert answer(ALLOW, action=post(b"\x00", BodyState.WHOLE)).outcome is Outcome.ALLOW


def test_the_condition_sees_what_its_own_rule_captured() -> None:
    """Parameters come from the first template of the rule that fits."""
    when = When(lambda a: a.value("request.params") == {"id": "1"}, "request.params")
    fits = rule("k", Effect.ALLOW, when=when, http=HttpMatch(paths=("/q/{id}", "/p/{id}", "/{id}/*")))
    assert answer(fits).outcome is Outcome.ALLOW
    assert answer(fits, action=post(path="/p/2")).code == "no_rule"


def test_strict_audit_of_any_rule_counts() -> None:
    """An answer made by a strict rule is strict."""
    assert answer(ALLOW, rule("m", Effect.MASK, strict_audit=True)).strict_audit
    assert not answer(ALLOW, MASK).strict_audit


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (PrincipalMatch(group="agents"), True),
        (PrincipalMatch(group="agents", subject="agent", issuer="urn:i", owner="olga"), True),
        (PrincipalMatch(group="admins"), False),
        (PrincipalMatch(group="agents", subject="other"), False),
        (PrincipalMatch(group="agents", issuer="urn:j"), False),
        (PrincipalMatch(group="agents", owner="otto"), False),
    ],
)
def test_fields_of_a_principal_are_and(match: PrincipalMatch, fits: bool) -> None:
    """Every field that is set must match."""
    assert principal_matches(AGENT, (match,)) is fits


def test_principals_are_or_and_none_fits_everyone() -> None:
    """One match of several is enough; no list at all matches all."""
    assert principal_matches(AGENT, (PrincipalMatch(group="admins"), PrincipalMatch(subject="agent")))
    assert principal_matches(AGENT, ())


def test_near_misses_name_the_one_clause_that_failed() -> None:
    """A permitting rule that fits but for one clause is explained; rules further off and denies are not."""
    rules = [
        rule("p", Effect.ALLOW, principals=(PrincipalMatch(group="admins"),)),
        rule("m", Effect.REQUIRE_APPROVAL, http=HttpMatch(methods=("GET",))),
        rule("u", Effect.ALLOW, http=HttpMatch(paths=("/other",))),
        rule("w", Effect.ALLOW, when=FALSE),
        rule("far", Effect.ALLOW, http=HttpMatch(methods=("GET",), paths=("/other",))),
        rule("d", Effect.DENY, http=HttpMatch(methods=("GET",))),
        rule("s", Effect.ALLOW, http=HttpMatch(methods=("GET",)), shadow=True),
    ]
    compiled = [CompiledRule.of(one, tuple(map(compile_path, one.http.paths if one.http else ()))) for one in rules]
    expected = [("p", "principals"), ("m", "http.methods"), ("u", "http.paths"), ("w", "when")]
    assert near_misses(compiled, AGENT, post()) == expected

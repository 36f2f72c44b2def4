"""Properties of the lattice: absence never helps, order never matters, masks never grant."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.conditions import CelCondition, compile_condition
from penstock_server.domain.audit import canonical_json
from penstock_server.domain.evaluate import Evaluation, Outcome
from penstock_server.domain.policy import Effect, HttpMatch, Mask, Policy, PrincipalMatch, Rule, Upstream
from penstock_server.domain.principal import Principal
from penstock_server.domain.snapshot import Snapshot

ATOMS = (
    "request.json.amount > 100",
    "request.json.amount == 1",
    "request.json.kind == 'card'",
    "request.json.deep.flag == true",
    "request.headers['x-team'] == 'red'",
    "request.query.limit == '10'",
    "principal.owner == 'olga'",
    "principal.delegator == 'dora'",
    "session.id == 's1'",
    "request.method == 'POST'",
    "true",
    "false",
)
UPSTREAM = Upstream("u", "https://u.example", "/u")


def combined(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Returns conjunctions and disjunctions; never has(), negation or a ternary."""
    return st.builds(lambda a, op, b: f"({a} {op} {b})", children, st.sampled_from(("&&", "||")), children)


SOURCES = st.recursive(st.sampled_from(ATOMS), combined, max_leaves=5)
COMPILED: dict[str, CelCondition] = {}


def condition(source: str) -> CelCondition:
    """Returns the compiled condition, compiled once."""
    if source not in COMPILED:
        COMPILED[source] = compile_condition(source)
    return COMPILED[source]


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Draws up to six rules with unique names."""
    result = []
    for index in range(draw(st.integers(0, 6))):
        effect = draw(st.sampled_from(list(Effect)))
        source = draw(st.none() | SOURCES)
        paths = draw(st.sampled_from(((), ("/p/{id}",), ("/p/**",), ("/other",))))
        result.append(
            Rule(
                name=f"r{index}",
                effect=effect,
                principals=draw(st.sampled_from(((), (PrincipalMatch(group="agents"),), (PrincipalMatch(group="x"),)))),
                http=HttpMatch(draw(st.sampled_from(((), ("POST",), ("GET", "PUT")))), paths),
                when=condition(source) if source else None,
                mask=(Mask(header=f"x-{index}"),) if effect is Effect.MASK else (),
                shadow=draw(st.integers(0, 9)) == 0,
            )
        )
    return tuple(result)


BODIES = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.sampled_from((1, 100, 101)),
        "kind": st.sampled_from(("card", "cash")),
        "deep": st.sampled_from(({"flag": True}, {"flag": False}, {})),
    },
)
PRINCIPALS = st.builds(
    lambda owner, delegator, session: Principal("i", "s", frozenset({"agents"}), owner, delegator, session),
    st.sampled_from(("", "olga", "otto")),
    st.sampled_from(("", "dora", "dirk")),
    st.sampled_from(("", "s1", "s2")),
)
QUERIES = st.sampled_from(("", "limit=10", "limit=99", "limit=10&limit=10"))
JSON = ("content-type", b"application/json")
HEADERS = st.sampled_from(((JSON,), (JSON, ("x-team", b"red")), (JSON, ("x-team", b"blue"))))


def ask(
    policy_rules: tuple[Rule, ...], principal: Principal, body: Any, query: str, headers: tuple[tuple[str, bytes], ...]
) -> Evaluation:
    """Returns the answer to a POST with this body, None for none."""
    state, raw = (BodyState.NONE, b"") if body is None else (BodyState.WHOLE, canonical_json(body).encode())
    action = Action("u", HttpRequest("POST", "u.example", "/p/1", query, headers, state, raw))
    return Snapshot(Policy((UPSTREAM,), policy_rules), 1, 1).evaluate(principal, action, 0)


@settings(max_examples=150, deadline=None)
@given(rules(), PRINCIPALS, BODIES, QUERIES, HEADERS, st.data())
def test_removing_an_attribute_never_helps(
    policy_rules: tuple[Rule, ...],
    principal: Principal,
    body: dict[str, Any],
    query: str,
    headers: tuple[tuple[str, bytes], ...],
    data: st.DataObject,
) -> None:
    """Whatever a request leaves out, what was not allowed stays not allowed, and an equal answer keeps every mask.

    A denial may become a demand for approval: a condition without a value counts against the request, and there it asks
    for a person where no rule applied before.
    """
    former = ask(policy_rules, principal, body, query, headers)
    fewer = {key: value for key, value in body.items() if data.draw(st.booleans(), label=f"keep {key}")}
    latter = ask(
        policy_rules,
        data.draw(
            st.sampled_from((principal, replace(principal, owner=""), replace(principal, delegator="", session="")))
        ),
        data.draw(st.sampled_from((None, fewer))),
        data.draw(st.sampled_from((query, ""))),
        data.draw(st.sampled_from((headers, ()))),
    )
    assert former.outcome is Outcome.ALLOW or latter.outcome is not Outcome.ALLOW
    if latter.outcome is former.outcome and latter.outcome is not Outcome.DENY:
        assert set(latter.masks) >= set(former.masks)


@settings(max_examples=100, deadline=None)
@given(rules(), PRINCIPALS, BODIES, QUERIES, HEADERS, st.randoms(use_true_random=False))
def test_the_order_of_rules_never_matters(
    policy_rules: tuple[Rule, ...], principal: Principal, body: Any, query: str, headers: Any, random: Any
) -> None:
    """Any permutation of the rules gives the same answer with the same explanation."""
    shuffled = list(policy_rules)
    random.shuffle(shuffled)
    assert ask(tuple(shuffled), principal, body, query, headers) == ask(policy_rules, principal, body, query, headers)


@settings(max_examples=100, deadline=None)
@given(rules(), PRINCIPALS, BODIES, QUERIES, HEADERS)
def test_masks_and_shadow_rules_never_change_the_outcome(
    policy_rules: tuple[Rule, ...], principal: Principal, body: Any, query: str, headers: Any
) -> None:
    """Without its masks and shadow rules a policy answers the same; a mask never grants."""
    bare = tuple(rule for rule in policy_rules if rule.effect is not Effect.MASK and not rule.shadow)
    with_all, without = (ask(some, principal, body, query, headers) for some in (policy_rules, bare))
    assert (with_all.outcome, with_all.code, with_all.rule) == (without.outcome, without.code, without.rule)


@settings(max_examples=100, deadline=None)
@given(rules(), PRINCIPALS, BODIES)
def test_a_withheld_body_is_never_worse_to_ask_for(
    policy_rules: tuple[Rule, ...], principal: Principal, body: dict[str, Any]
) -> None:
    """An answer given without the body is the answer that the whole body would have got."""
    whole = ask(policy_rules, principal, body, "", ())
    action = Action("u", HttpRequest("POST", "u.example", "/p/1", body_state=BodyState.WITHHELD))
    early = Snapshot(Policy((UPSTREAM,), policy_rules), 1, 1).evaluate(principal, action, 0)
    assert early.outcome in {Outcome.NEED_BODY, whole.outcome}
    if early.outcome is Outcome.ALLOW:
        assert early.masks == whole.masks

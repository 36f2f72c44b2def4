"""Judges an action by the rules of one revision: deny > require_approval > allow > default deny.

The lattice has no order and no priorities. Masks of all matching rules are added to whatever is permitted; a mask
alone permits nothing. A condition that has no value counts against the request: a deny rule denies, an approval rule
demands approval, a mask applies, an allow rule does not match. Shadow rules are reported and never enforced.

Where the body is withheld and a rule that could matter reads it, or an approval would bind it, the outcome is
NEED_BODY. Where the body was sent but is not strict JSON and a rule needs it, the outcome is DENY, "body_unreadable".
Two answers never wait for a body: a deny that holds without it, and a request that no rule could permit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from penstock._core.describe import Action, BodyState
from penstock_server.domain.attributes import Attributes, reads_body
from penstock_server.domain.paths import PathTemplate
from penstock_server.domain.policy import ConditionError, Effect, Mask, PrincipalMatch, Rule
from penstock_server.domain.principal import Principal

__all__ = ["CompiledRule", "Evaluation", "Outcome", "judge", "near_misses", "principal_matches"]

MAX_NEAR_MISSES = 20
"""Most near misses that one answer explains; the audit entry holds them."""


_NOTHING: dict[str, str] = {}
_DENY, _APPROVE, _ALLOW, _MASK = range(4)
_RANKS = {Effect.DENY: _DENY, Effect.REQUIRE_APPROVAL: _APPROVE, Effect.ALLOW: _ALLOW, Effect.MASK: _MASK}
_ByRank = tuple[list[Rule], list[Rule], list[Rule], list[Rule]]


class Outcome(Enum):
    """Names what an evaluation found."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    NEED_BODY = "need_body"


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class Evaluation:
    """Holds an answer and its explanation.

    code: "" | "policy_denied" | "no_rule" | "upstream_unknown" | "body_unreadable". rule: the deciding one, first in
    name order. rules: all that made the answer, masks included, in name order. reason: one line for the agent.
    near_misses: (rule, clause that failed) of rules that would have permitted, or whose condition had no value; for
    the audit log, not for the agent. shadow: (rule, what it would have done) of shadow rules that matched: an
    effect, or "need_body" or "body_unreadable" where it could not be asked, since a shadow rule never fetches a body.
    """

    outcome: Outcome
    code: str = ""
    rule: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    masks: tuple[Mask, ...] = ()
    approval_rules: tuple[Rule, ...] = ()
    near_misses: tuple[tuple[str, str], ...] = ()
    shadow: tuple[tuple[str, str], ...] = ()
    strict_audit: bool = False


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """Holds a rule with its path templates; an empty tuple fits every path."""

    rule: Rule
    paths: tuple[PathTemplate, ...]
    reads_body: bool
    rank: int

    @classmethod
    def of(cls, rule: Rule, paths: tuple[PathTemplate, ...]) -> "CompiledRule":
        """Returns the rule, ready to be judged by."""
        return cls(rule, paths, rule.when is not None and reads_body(rule.when.reads), _RANKS[rule.effect])


class _Findings:
    """Collects the rules that matched, and those that wait for the body, by rank."""

    __slots__ = ("errors", "matched", "shadow", "unreadable", "waiting")

    def __init__(self) -> None:
        self.matched: _ByRank = ([], [], [], [])
        self.waiting: _ByRank = ([], [], [], [])
        self.errors: list[tuple[str, str]] = []
        self.shadow: list[tuple[str, str]] = []
        self.unreadable = ""


def principal_matches(principal: Principal, matches: tuple[PrincipalMatch, ...]) -> bool:
    """Returns whether any of the matches fits: set fields are AND, matches are OR, no match at all fits everyone."""
    for match in matches:
        if (
            (match.group is None or match.group in principal.groups)
            and (match.subject is None or match.subject == principal.subject)
            and (match.issuer is None or match.issuer == principal.issuer)
            and (match.owner is None or match.owner == principal.owner)
        ):
            return True
    return not matches


def judge(candidates: Iterable[CompiledRule], principal: Principal, action: Action, now_ms: int) -> Evaluation:
    """Returns the answer of the candidates: rules, in name order, that fit the action's upstream and method."""
    http = action.http
    segments = http.path.split("/")[1:]
    found = _Findings()
    attributes = Attributes(principal, action, now_ms)
    for candidate in candidates:
        rule = candidate.rule
        params = _params(candidate, segments) if candidate.paths else _NOTHING
        if params is None or (rule.principals and not principal_matches(principal, rule.principals)):
            continue
        if rule.when is None:
            matched = True
        else:
            attributes.params = params
            if candidate.reads_body and _waits(found, candidate, attributes):
                continue
            matched = _holds(found, rule, attributes)
        if not matched:
            continue
        if rule.shadow:
            found.shadow.append((rule.name, rule.effect.value))
        else:
            found.matched[candidate.rank].append(rule)
    return _combine(found, action)


def near_misses(candidates: Iterable[CompiledRule], principal: Principal, action: Action) -> list[tuple[str, str]]:
    """Returns (rule, clause) of the permitting rules of this upstream of which exactly one static clause failed.

    candidates: rules that fit the upstream. A rule whose static clauses all fit has failed at its condition, "when".
    """
    http = action.http
    segments = http.path.split("/")[1:]
    result = []
    for candidate in candidates:
        rule = candidate.rule
        if rule.shadow or rule.effect not in {Effect.ALLOW, Effect.REQUIRE_APPROVAL}:
            continue
        failed = []
        if not principal_matches(principal, rule.principals):
            failed.append("principals")
        if rule.http is not None and rule.http.methods and http.method not in rule.http.methods:
            failed.append("http.methods")
        if _params(candidate, segments) is None:
            failed.append("http.paths")
        if len(failed) < 2:
            result.append((rule.name, failed[0] if failed else "when"))
    return result[:MAX_NEAR_MISSES]


def _params(candidate: CompiledRule, segments: list[str]) -> dict[str, str] | None:
    """Returns what the first template that fits captures, or None if none fits."""
    for template in candidate.paths:
        params = template.match(segments)
        if params is not None:
            return params
    return None if candidate.paths else _NOTHING


def _waits(found: _Findings, candidate: CompiledRule, attributes: Attributes) -> bool:
    """Returns whether the condition cannot be asked yet, or ever, for want of a readable body; notes the rule if so."""
    withheld = attributes.action.http.body_state is BodyState.WITHHELD
    unreadable = "" if withheld else attributes.unreadable()
    if not (withheld or unreadable):
        return False
    rule = candidate.rule
    if rule.shadow:
        found.shadow.append((rule.name, "body_unreadable" if unreadable else "need_body"))
    else:
        found.unreadable = unreadable
        found.waiting[candidate.rank].append(rule)
    return True


def _holds(found: _Findings, rule: Rule, attributes: Attributes) -> bool:
    """Returns whether the rule's condition fits; one without a value counts against the request."""
    assert rule.when is not None
    try:
        return rule.when.holds(attributes)
    except ConditionError as error:
        found.errors.append((rule.name, f"when error: {error}"))
        return rule.effect is not Effect.ALLOW


def _combine(found: _Findings, action: Action) -> Evaluation:
    """Returns the answer of the lattice."""
    denies, approvals, allows, masks = found.matched
    waiting = found.waiting
    if denies:
        rule = denies[0]
        reason = rule.reason or f'the rule "{rule.name}" denies this'
        return _evaluation(found, Outcome.DENY, denies, code="policy_denied", reason=reason)
    if not (approvals or allows or waiting[_APPROVE] or waiting[_ALLOW]):
        http = action.http
        reason = f'no rule allows {http.method} {http.path} on the upstream "{action.upstream}"'
        return _evaluation(found, Outcome.DENY, [], code="no_rule", reason=reason)
    needed = sorted((rule for rules in waiting for rule in rules), key=lambda rule: rule.name)
    if needed and found.unreadable:
        reason = f'the rule "{needed[0].name}" reads the body as JSON, and it is unreadable: {found.unreadable}'
        return _evaluation(found, Outcome.DENY, needed, code="body_unreadable", reason=reason)
    if needed or (approvals and action.http.body_state is BodyState.WITHHELD):
        return _evaluation(found, Outcome.NEED_BODY, needed or approvals)
    if approvals:
        rule = approvals[0]
        reason = rule.reason or f'the rule "{rule.name}" demands approval'
        return _evaluation(found, Outcome.REQUIRE_APPROVAL, approvals, masks, reason=reason)
    return _evaluation(found, Outcome.ALLOW, allows, masks, reason=allows[0].reason)


def _evaluation(
    found: _Findings,
    outcome: Outcome,
    deciding: list[Rule],
    masks: list[Rule] | None = None,
    *,
    code: str = "",
    reason: str = "",
) -> Evaluation:
    """Returns the answer made by these rules; masks count only where something is, or may become, permitted."""
    made = [*deciding, *masks] if masks else deciding
    return Evaluation(
        outcome=outcome,
        code=code,
        rule=deciding[0].name if deciding else "",
        rules=tuple(sorted([rule.name for rule in made])) if masks else tuple([rule.name for rule in made]),
        reason=reason,
        masks=tuple([mask for rule in masks for mask in rule.mask]) if masks else (),
        approval_rules=tuple(deciding) if outcome is Outcome.REQUIRE_APPROVAL else (),
        near_misses=tuple(found.errors[:MAX_NEAR_MISSES]),
        shadow=tuple(found.shadow),
        strict_audit=any(rule.strict_audit for rule in made),
    )

"""Reads a whole policy document: `upstreams:`, `rules:`, `secrets:`; all problems at once, each with its line."""

from collections.abc import Callable
from dataclasses import dataclass

import yaml

from penstock_server.document._fields import Field, Problems
from penstock_server.document._lint import lint
from penstock_server.document._rules import Known, read_rules
from penstock_server.document._upstreams import read_upstreams
from penstock_server.document._yaml import Rejected, compose
from penstock_server.domain.errors import Code, FieldProblem, PenstockError
from penstock_server.domain.policy import SECRET_NAME, SECRET_NAME_RULE, Condition, Policy

__all__ = ["ParsedPolicy", "parse"]

_RESERVED = {"detectors": "is reserved: own detectors do not exist in this version; remove it"}


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """Holds a valid policy, and what is doubtful about it: one line each, for people."""

    policy: Policy
    warnings: tuple[str, ...] = ()


def parse(text: str, *, compile_condition: Callable[[str], Condition], detectors: frozenset[str]) -> ParsedPolicy:
    """Returns the policy of a YAML document, upstreams, rules and secrets sorted by name.

    compile_condition: returns a checked condition or raises ValueError with one line. detectors: ids that masks may
    name besides the families. Raises PenstockError (INVALID, "POLICY_INVALID") with every problem.
    """
    problems = Problems()
    try:
        root = Field("", compose(text), problems)
    except Rejected as rejected:
        raise _invalid(rejected.problems) from None
    keys = root.mapping(("upstreams", "rules", "secrets"), _RESERVED) or {}
    secrets = _read_secrets(keys["secrets"]) if "secrets" in keys else ()
    upstreams = read_upstreams(keys["upstreams"], frozenset(secrets)) if "upstreams" in keys else ()
    # A rule may name an upstream that has problems of its own; only an unknown name is the rule's fault.
    known = Known(_names(keys.get("upstreams")), detectors, compile_condition)
    rules = read_rules(keys["rules"], known) if "rules" in keys else ()
    if problems.found:
        raise _invalid(problems.by_line())
    policy = Policy(upstreams, tuple(rule for rule, _ in rules), secrets)
    return ParsedPolicy(policy, lint(policy, {rule.name: field for rule, field in rules}))


def _read_secrets(field: Field) -> tuple[str, ...]:
    """Returns the declared names, sorted; values are never part of a document."""
    texts = field.texts(may_be_empty=True)
    for item, text in texts:
        if not SECRET_NAME.fullmatch(text):
            item.refuse(f"a secret's name must be {SECRET_NAME_RULE}; the value does not belong here")
    return tuple(sorted(text for _, text in texts))


def _names(field: Field | None) -> frozenset[str]:
    """Returns every key under upstreams:, whether or not what it holds is valid."""
    if field is None or not isinstance(field.node, yaml.MappingNode):
        return frozenset()
    return frozenset(key.value for key, _ in field.node.value if isinstance(key.value, str))


def _invalid(problems: tuple[FieldProblem, ...]) -> PenstockError:
    """Returns the error for these problems; its one line holds the first."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"the policy document is invalid: {first.where}: {first.what}{more}"
    return PenstockError(Code.INVALID, "POLICY_INVALID", message, problems=problems)

"""Warns about rules that are valid and may still not mean what their author thinks."""

import re

from penstock_server.document._fields import Field
from penstock_server.domain.policy import Effect, Policy, Rule

__all__ = ["conceals_absence", "lint"]

_QUOTED_OR_COMMENT = re.compile(
    r"""[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*""", re.DOTALL
)
_CONSTRUCTS = (
    (re.compile(r"\bhas\s*\("), "has()"),
    (re.compile(r"!"), "negation"),
    (re.compile(r"\?"), "a ternary"),
    (re.compile(r"\bin\s+\.?(?:request\s*\.|\{)|\.\s*(?:all|exists|exists_one|map|filter|size)\b|\bsize\s*\("),
     "in, size or a macro over a map or list"),
)  # fmt: skip


def conceals_absence(source: str) -> tuple[str, ...]:
    """Returns the constructs in a condition through which a missing attribute can make it false instead of an error."""
    plain = _QUOTED_OR_COMMENT.sub('""', source)
    return tuple(name for pattern, name in _CONSTRUCTS if pattern.search(plain))


def lint(policy: Policy, fields: dict[str, Field]) -> tuple[str, ...]:
    """Returns one line a doubt, in the order of names. fields: where each rule stands, by name."""
    warnings = []
    used = {upstream.credential.secret for upstream in policy.upstreams if upstream.credential}
    for upstream in policy.upstreams:
        permitting = [
            rule for rule in policy.rules if _permits(rule) and upstream.name in (rule.upstreams or (upstream.name,))
        ]
        if not permitting:
            warnings.append(f'upstream "{upstream.name}": no rule permits anything, so every request is refused')
    for rule in policy.rules:
        where = f'rule "{rule.name}" (line {fields[rule.name].line})'
        if rule.effect in {Effect.DENY, Effect.REQUIRE_APPROVAL} and rule.when is not None:
            found = conceals_absence(rule.when.source)
            if found:
                uses = " and ".join(found)
                warnings.append(f"{where}: its condition uses {uses}; a request without an attribute may escape it")
        if rule.strict_audit:
            warnings.append(f"{where}: audit: strict is the same as normal in this version: no answer is reused yet")
        if rule.effect is Effect.ALLOW and not (rule.principals or rule.upstreams or rule.http or rule.when):
            warnings.append(f"{where}: it allows everyone everything on every upstream")
        elif rule.effect is Effect.ALLOW and not rule.principals:
            warnings.append(f"{where}: it names no principals, so it allows every agent")
    warnings += [f'secret "{name}": no upstream uses it' for name in policy.secrets if name not in used]
    return tuple(warnings)


def _permits(rule: Rule) -> bool:
    """Returns whether a rule can lead to an allow."""
    return rule.effect in {Effect.ALLOW, Effect.REQUIRE_APPROVAL} and not rule.shadow

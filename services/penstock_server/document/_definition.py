"""Writes upstreams and rules back as plain values in the document's own keys: for SQL rows and for diffs."""

import json
from typing import Any

from penstock_server.domain.audit import canonical_json
from penstock_server.domain.policy import Policy, PrincipalMatch, Rule, Upstream
from penstock_server.operations.interfaces import RuleRow

__all__ = ["diff", "rule_rows"]


def rule_rows(policy: Policy) -> tuple[RuleRow, ...]:
    """Returns one row a rule, by name, with its selectors in columns and all of it in `definition`."""
    return tuple(
        RuleRow(
            name=rule.name,
            effect=rule.effect.value,
            upstreams=canonical_json(list(rule.upstreams)),
            methods=canonical_json(list(rule.http.methods if rule.http else ())),
            paths=canonical_json(list(rule.http.paths if rule.http else ())),
            principals=canonical_json([_principal(match) for match in rule.principals]),
            condition=rule.when.source if rule.when else "",
            mode="shadow" if rule.shadow else "enforce",
            definition=canonical_json({"name": rule.name} | _rule(rule)),
        )
        for rule in sorted(policy.rules, key=lambda rule: rule.name)
    )


def diff(old: Policy | None, new: Policy) -> tuple[str, ...]:
    """Returns one line a change, by kind and name: "+ rule x", "- upstream y", "~ rule z: effect: allow -> deny"."""
    before, after = _things(old or Policy()), _things(new)
    lines = []
    for thing in sorted(before.keys() | after.keys()):
        if thing not in before:
            lines.append(f"+ {thing}")
        elif thing not in after:
            lines.append(f"- {thing}")
        else:
            former, latter = before[thing], after[thing]
            lines += [
                f"~ {thing}: {key}: {_shown(former.get(key))} -> {_shown(latter.get(key))}"
                for key in sorted(former.keys() | latter.keys())
                if former.get(key) != latter.get(key)
            ]
    return tuple(lines)


def _things(policy: Policy) -> dict[str, dict[str, Any]]:
    """Returns the flat fields of everything in a policy, by its kind and name."""
    return (
        {f"rule {rule.name}": _flat(_rule(rule)) for rule in policy.rules}
        | {f"secret {name}": {} for name in policy.secrets}
        | {f"upstream {upstream.name}": _flat(_upstream(upstream)) for upstream in policy.upstreams}
    )


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested keys joined with dots; lists stay values."""
    result: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            result |= _flat(item, f"{prefix}{key}.")
        else:
            result[prefix + key] = item
    return result


def _shown(value: Any) -> str:
    """Returns a value on one line."""
    if value is None:
        return "(none)"
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)


def _upstream(upstream: Upstream) -> dict[str, Any]:
    """Returns an upstream's keys."""
    result: dict[str, Any] = {
        "url": upstream.url,
        "mount": upstream.mount,
        "dialect": upstream.dialect.value,
        "token_from": list(upstream.token_from),
        "addresses": "private" if upstream.private_addresses else "public",
    }
    if upstream.hosts:
        result["hosts"] = list(upstream.hosts)
    use = upstream.credential
    if use is not None:
        result["credential"] = {"secret": use.secret, "header": use.header, "format": use.format}
    return result


def _rule(rule: Rule) -> dict[str, Any]:
    """Returns a rule's keys without its name; what a rule does not say is left out."""
    http = rule.http
    match: dict[str, Any] = {
        "principals": [_principal(one) for one in rule.principals],
        "upstreams": list(rule.upstreams),
        "http": {"methods": list(http.methods), "paths": list(http.paths)} if http else {},
    }
    match["http"] = {key: value for key, value in match["http"].items() if value}
    result: dict[str, Any] = {
        "match": {key: value for key, value in match.items() if value},
        "when": rule.when.source if rule.when else "",
        "mask": [_mask(mask) for mask in rule.mask],
        "reason": rule.reason,
    }
    result = {key: value for key, value in result.items() if value}
    result["effect"] = rule.effect.value
    result["audit"] = "strict" if rule.strict_audit else "normal"
    result["mode"] = "shadow" if rule.shadow else "enforce"
    terms = rule.approval
    if terms is not None:
        result["approval"] = {
            "reviewers": [_principal(one) for one in terms.reviewers],
            "quorum": terms.quorum,
            "pending_ttl": _duration(terms.pending_ttl_ms),
            "grant": {"uses": terms.grant_uses, "ttl": _duration(terms.grant_ttl_ms)},
            "hold": _duration(terms.hold_ms),
        }
    return result


def _principal(match: PrincipalMatch) -> dict[str, str]:
    """Returns the fields that are set."""
    values = {"group": match.group, "subject": match.subject, "issuer": match.issuer, "owner": match.owner}
    return {key: value for key, value in values.items() if value is not None}


def _mask(mask: Any) -> dict[str, Any]:
    """Returns the one kind that a mask holds."""
    values = {"detectors": list(mask.detectors), "json": mask.json, "header": mask.header}
    return {key: value for key, value in values.items() if value}


def _duration(milliseconds: int) -> str:
    """Returns a duration in its largest whole unit."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0 and milliseconds:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"

"""Reads `rules:`: a list of rules, each with a match, an optional condition and one effect."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock_server.document._fields import Field
from penstock_server.document._upstreams import NAME, NAME_RULE, TOKEN
from penstock_server.domain.paths import compile_path
from penstock_server.domain.policy import ApprovalTerms, Condition, Effect, HttpMatch, Mask, PrincipalMatch, Rule

__all__ = ["FAMILIES", "Known", "read_rules"]

FAMILIES = frozenset({"secrets", "personal", "all"})
"""Names that stand for many detectors at once."""

_KEYS = ("name", "match", "when", "effect", "approval", "mask", "audit", "mode", "reason")
_LATER = "is reserved for a later version and does nothing yet; remove it"
_RESERVED_MATCH = {"grpc": _LATER, "mcp": _LATER}
_PRINCIPAL_KEYS = ("group", "subject", "issuer", "owner")
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$&'*+.^`|~-]{0,31}")
_POINTER = re.compile(r"(?:/(?:[^~/\x00-\x1f]|~[01])*)+")
_IDENTITY = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_REASON = re.compile(r"[^\x00-\x1f\x7f\u2028\u2029]{1,500}")
_SECOND, _DAY = 1000, 86_400_000


@dataclass(frozen=True, slots=True)
class Known:
    """Holds what rules may name. compile_condition: raises ValueError with one line."""

    upstreams: frozenset[str]
    detectors: frozenset[str]
    compile_condition: Callable[[str], Condition]


def read_rules(field: Field, known: Known) -> tuple[tuple[Rule, Field], ...]:
    """Returns the rules that are well-formed, in name order, with their fields; notes the problems of the others."""
    result: dict[str, tuple[Rule, Field]] = {}
    lines: dict[str, int] = {}
    for item in field.items(may_be_empty=True) or ():
        keys = item.mapping(_KEYS, {"grpc": _LATER, "mcp": _LATER})
        if keys is None:
            continue
        before = len(item.problems.found)
        name = keys["name"].matching(NAME, NAME_RULE) if "name" in keys else None
        if "name" not in keys:
            item.refuse("name is missing")
        elif name in lines:
            keys["name"].refuse(f'another rule is named "{name}", in line {lines[name]}')
        elif name is not None:
            lines[name] = keys["name"].line
        rule = _read_rule(name or "-", item, keys, known)
        if rule is not None and name is not None and len(item.problems.found) == before:
            result[name] = (rule, item)
    return tuple(result[name] for name in sorted(result))


def _read_rule(name: str, field: Field, keys: dict[str, Field], known: Known) -> Rule | None:
    """Returns one rule, or None if it has no effect that could be read."""
    match = (
        (keys["match"].mapping(("principals", "upstreams", "http"), _RESERVED_MATCH) or {}) if "match" in keys else {}
    )
    if "effect" not in keys:
        field.refuse(f"effect is missing: one of {', '.join(Effect)}")
    effect = keys["effect"].choice(Effect) if "effect" in keys else None
    approval = _read_approval(keys["approval"]) if "approval" in keys else None
    mask = _read_masks(keys["mask"], known.detectors) if "mask" in keys else ()
    for key, only in (("approval", Effect.REQUIRE_APPROVAL), ("mask", Effect.MASK)):
        if effect == only and key not in keys:
            field.refuse(f"{key} is missing; a rule with effect: {only} needs it")
        elif effect is not None and effect != only and key in keys:
            keys[key].refuse(f"only belongs to a rule with effect: {only}; write a rule of its own")
    audit = keys["audit"].choice(("normal", "strict")) if "audit" in keys else "normal"
    mode = keys["mode"].choice(("enforce", "shadow")) if "mode" in keys else "enforce"
    principals = read_principals(match["principals"]) if "principals" in match else ()
    upstreams = match["upstreams"].texts() if "upstreams" in match else []
    for item, upstream in upstreams:
        if upstream not in known.upstreams:
            item.refuse(f'there is no upstream "{upstream[:64]}"')
    http = _read_http(match["http"]) if "http" in match else None
    when = _read_condition(keys["when"], known.compile_condition) if "when" in keys else None
    rule = "one line of at most 500 characters"
    reason = keys["reason"].matching(_REASON, rule) if "reason" in keys else ""
    if effect is None:
        return None
    names = tuple(sorted(upstream for _, upstream in upstreams))
    return Rule(
        name,
        Effect(effect),
        principals,
        names,
        http,
        when,
        approval,
        mask,
        reason or "",
        audit == "strict",
        mode == "shadow",
    )


def read_principals(field: Field) -> tuple[PrincipalMatch, ...]:
    """Returns matches, each with at least one field."""
    result = []
    for item in field.items() or ():
        keys = item.mapping(_PRINCIPAL_KEYS)
        if keys is None:
            continue
        if not item.node.value:
            item.refuse(f"must name at least one of {', '.join(_PRINCIPAL_KEYS)}")
        values = {key: child.matching(_IDENTITY, "one line of at most 512 characters") for key, child in keys.items()}
        result.append(PrincipalMatch(**values))
    return tuple(result)


def _read_http(field: Field) -> HttpMatch | None:
    """Returns methods and path templates."""
    keys = field.mapping(("methods", "paths"))
    if keys is None:
        return None
    if not field.node.value:
        field.refuse("must hold methods or paths; leave the key out to match every request")
    methods = keys["methods"].texts() if "methods" in keys else []
    for item, method in methods:
        if not _METHOD.fullmatch(method):
            hint = f'; did you mean "{method.upper()}"?' if _METHOD.fullmatch(method.upper()) else ""
            item.refuse(f"is not an HTTP method in upper case{hint}")
    paths = keys["paths"].texts() if "paths" in keys else []
    for item, path in paths:
        try:
            compile_path(path)
        except ValueError as error:
            item.refuse(str(error)[:300])
    return HttpMatch(tuple(sorted(method for _, method in methods)), tuple(path for _, path in paths))


def _read_condition(field: Field, compile_condition: Callable[[str], Condition]) -> Condition | None:
    """Returns the compiled condition."""
    text = field.text()
    if text is None:
        return None
    try:
        return compile_condition(text)
    except ValueError as error:
        field.refuse(str(error))
        return None


def _read_approval(field: Field) -> ApprovalTerms | None:
    """Returns the terms; reviewers must be named, the rest has defaults."""
    auto = {"auto": "is reserved: automatic reviews do not exist in this version; remove it"}
    keys = field.mapping(("reviewers", "quorum", "pending_ttl", "grant", "hold"), auto)
    if keys is None:
        return None
    if "reviewers" not in keys:
        field.refuse("reviewers is missing, e.g. reviewers: [{group: finance}]")
    grant = (keys["grant"].mapping(("uses", "ttl")) or {}) if "grant" in keys else {}
    values: dict[str, Any] = {
        "reviewers": read_principals(keys["reviewers"]) if "reviewers" in keys else (),
        "quorum": keys["quorum"].integer(1, 10) if "quorum" in keys else None,
        "pending_ttl_ms": keys["pending_ttl"].duration(_SECOND, 7 * _DAY) if "pending_ttl" in keys else None,
        "grant_uses": grant["uses"].integer(1, 1000) if "uses" in grant else None,
        "grant_ttl_ms": grant["ttl"].duration(_SECOND, 30 * _DAY) if "ttl" in grant else None,
        "hold_ms": keys["hold"].duration(0, 600 * _SECOND) if "hold" in keys else None,
    }
    return ApprovalTerms(**{key: value for key, value in values.items() if value is not None})


def _read_masks(field: Field, detectors: frozenset[str]) -> tuple[Mask, ...]:
    """Returns masks, each of one kind."""
    result = []
    for item in field.items() or ():
        keys = item.mapping(("detectors", "json", "header"))
        if keys is None:
            continue
        if len(item.node.value) != 1:
            item.refuse("must hold exactly one of detectors, json, header; write more items")
        if "detectors" in keys:
            result.append(Mask(detectors=_read_detectors(keys["detectors"], detectors)))
        if "json" in keys:
            rule = 'a JSON pointer such as /customers/*/iban ("*" for any one token)'
            result.append(Mask(json=keys["json"].matching(_POINTER, rule) or ""))
        if "header" in keys:
            result.append(Mask(header=(keys["header"].matching(TOKEN, "a header name") or "").lower()))
    return tuple(result)


def _read_detectors(field: Field, detectors: frozenset[str]) -> tuple[str, ...]:
    """Returns ids of detectors and families, sorted."""
    texts = field.texts()
    known = detectors | FAMILIES
    for item, text in texts:
        if text not in known:
            item.refuse(f'there is no detector "{text[:64]}"; known are {", ".join(sorted(known))}')
    return tuple(sorted(text for _, text in texts))

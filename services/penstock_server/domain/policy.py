"""Policy as values: upstreams and rules of one immutable revision. document/ makes them, evaluate.py judges by them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

__all__ = [
    "SECRET_NAME",
    "SECRET_NAME_RULE",
    "ApprovalTerms",
    "Condition",
    "ConditionError",
    "CredentialUse",
    "Dialect",
    "Effect",
    "HttpMatch",
    "Mask",
    "Policy",
    "PrincipalMatch",
    "Rule",
    "Upstream",
]

SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""What a secret may be called, in documents and where it is stored."""
SECRET_NAME_RULE = "1 to 63 characters a-z, 0-9, dot, dash and underscore, the first a letter or digit"  # noqa: S105 (no value)
"""The same for people."""


class Effect(StrEnum):
    """Names what a rule does. A mask never grants."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    MASK = "mask"


class Dialect(StrEnum):
    """Names how refusals are written for the agent."""

    PROBLEM = "problem"
    ANTHROPIC = "anthropic"


class ConditionError(Exception):
    """Says that a condition has no value for this request; the text names the kind of failure, never the data."""


class Condition(Protocol):
    """A compiled condition: conditions/ compiles CEL into one of these.

    reads: top-level attributes that it names, e.g. {"request.json", "principal.groups", "now"}.
    """

    source: str
    reads: frozenset[str]

    def holds(self, attributes: Any) -> bool:
        """Returns the value; raises ConditionError if it has none (missing attribute, wrong type, budget)."""
        ...


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """Names the secret that an upstream takes, and how it is written into a header; format holds one "{}"."""

    secret: str
    header: str = "authorization"
    format: str = "Bearer {}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Holds one target. url: scheme://host[:port][/base]. token_from: lower-case headers that carry agents' tokens.

    hosts: what the Host header of requests for it may say, host or host:port in lower case.
    """

    name: str
    url: str
    mount: str
    dialect: Dialect = Dialect.PROBLEM
    credential: CredentialUse | None = None
    token_from: tuple[str, ...] = ("authorization",)
    private_addresses: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrincipalMatch:
    """Matches a principal; fields that are set must all match."""

    group: str | None = None
    subject: str | None = None
    issuer: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """Matches HTTP requests; an empty list matches all. paths: "/a/{id}" (one segment), "*" one, "**" the rest."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Holds what a require_approval rule asks for; times in milliseconds."""

    reviewers: tuple[PrincipalMatch, ...]
    quorum: int = 1
    pending_ttl_ms: int = 600_000
    grant_uses: int = 1
    grant_ttl_ms: int = 300_000
    hold_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Mask:
    """Holds one mask: detectors (ids or families), or one JSON pointer, or one response header (lower case)."""

    detectors: tuple[str, ...] = ()
    json: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds one rule. Lists are OR, fields are AND; an empty list matches all. reason: shown to the agent."""

    name: str
    effect: Effect
    principals: tuple[PrincipalMatch, ...] = ()
    upstreams: tuple[str, ...] = ()
    http: HttpMatch | None = None
    when: Condition | None = None
    approval: ApprovalTerms | None = None
    mask: tuple[Mask, ...] = ()
    reason: str = ""
    strict_audit: bool = False
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Holds a whole validated document. secrets: names that it declares."""

    upstreams: tuple[Upstream, ...] = ()
    rules: tuple[Rule, ...] = ()
    secrets: tuple[str, ...] = ()

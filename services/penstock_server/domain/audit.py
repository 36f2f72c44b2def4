"""The audit log as values and hashes: entries, leaves (RFC 6962) and the chain. Storage is in store/audit_log.py."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from penstock_server.domain.principal import Principal

__all__ = [
    "CHAIN_START",
    "AuditEntry",
    "AuditEvent",
    "AuditPosition",
    "body_commitment",
    "body_json",
    "canonical_json",
    "chain_hash",
    "header_json",
    "leaf_hash",
]

CHAIN_START = bytes(32)
"""Chain hash before the first entry."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Holds what happened, before it has a place in the log. details: JSON values only, nothing secret."""

    id: str
    kind: str
    at_ms: int
    actor: Principal
    upstream: str = ""
    method: str = ""
    resource: str = ""
    effect: str = ""
    decision_id: str = ""
    call_id: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    approval: str = ""
    grant: str = ""
    policy_revision: int = 0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """Holds where an event was committed, and the epoch row read in that same transaction."""

    log: str
    seq: int
    epoch: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Holds a committed entry. body_json: canonical JSON of the erasable part; None once erased."""

    log: str
    seq: int
    event: AuditEvent
    leaf_hash: bytes
    chain_hash: bytes


def canonical_json(value: Any) -> str:
    """Returns RFC 8785-like text: sorted keys, no white space; only str, int, bool, None, list, dict may occur."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def header_json(log: str, seq: int, event: AuditEvent) -> str:
    """Returns the canonical header of an entry: the part that is never erased."""
    return canonical_json(
        {
            "v": 1,
            "log": log,
            "seq": seq,
            "id": event.id,
            "kind": event.kind,
            "at_ms": event.at_ms,
            "effect": event.effect,
            "decision": event.decision_id,
            "call": event.call_id,
            "upstream": event.upstream,
            "rules": list(event.rules),
            "approval": event.approval,
            "grant": event.grant,
            "revision": event.policy_revision,
        }
    )


def body_json(event: AuditEvent) -> str:
    """Returns the canonical body of an entry: who, what and why; erasable, committed to by a salted hash."""
    actor = event.actor
    return canonical_json(
        {
            "actor": {
                "issuer": actor.issuer,
                "subject": actor.subject,
                "groups": sorted(actor.groups),
                "owner": actor.owner,
                "delegator": actor.delegator,
            },
            "method": event.method,
            "resource": event.resource,
            "reason": event.reason,
            "details": event.details,
        }
    )


def body_commitment(salt: bytes, body: str) -> bytes:
    """Returns SHA-256(salt ‖ body), 32 bytes."""
    return hashlib.sha256(salt + body.encode()).digest()


def leaf_hash(header: str, commitment: bytes) -> bytes:
    """Returns the RFC 6962 leaf SHA-256(0x00 ‖ header ‖ commitment), 32 bytes."""
    return hashlib.sha256(b"\x00" + header.encode() + commitment).digest()


def chain_hash(former: bytes, leaf: bytes) -> bytes:
    """Returns SHA-256(former chain hash ‖ leaf), 32 bytes."""
    return hashlib.sha256(former + leaf).digest()

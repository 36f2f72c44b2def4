"""The audit log as values and hashes: entries, leaves (RFC 6962) and the chain. Storage is in store/audit_log.py."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
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


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
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


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
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


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Returns RFC 8785-like text: sorted keys, no white space; only str, int, bool, None, list, dict may occur."""
    return _ENCODER.encode(value)


def header_json(log: str, seq: int, event: AuditEvent) -> str:
    """Returns the canonical header of an entry: the part that is never erased.

    Written out because every decision waits for it: canonical_json of the same members takes three times as long.
    """
    text = encode_basestring
    rules = ",".join([text(rule) for rule in event.rules])
    return (
        f'{{"approval":{text(event.approval)},"at_ms":{event.at_ms:d},"call":{text(event.call_id)}'
        f',"decision":{text(event.decision_id)},"effect":{text(event.effect)},"grant":{text(event.grant)}'
        f',"id":{text(event.id)},"kind":{text(event.kind)},"log":{text(log)},"revision":{event.policy_revision:d}'
        f',"rules":[{rules}],"seq":{seq:d},"upstream":{text(event.upstream)},"v":1}}'
    )


def body_json(event: AuditEvent) -> str:
    """Returns the canonical body of an entry: who, what and why; erasable, committed to by a salted hash."""
    text = encode_basestring
    return (
        f'{{"actor":{_actor_json(event.actor)},"details":{canonical_json(event.details)},"method":{text(event.method)}'
        f',"reason":{text(event.reason)},"resource":{text(event.resource)}}}'
    )


@lru_cache(1024)
def _actor_json(actor: Principal) -> str:
    """Returns who acted, as canonical JSON; the same few act again and again."""
    return canonical_json(
        {
            "issuer": actor.issuer,
            "subject": actor.subject,
            "groups": sorted(actor.groups),
            "owner": actor.owner,
            "delegator": actor.delegator,
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

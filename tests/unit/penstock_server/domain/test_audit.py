"""The audit log's hashes: what changes an entry changes its leaf, and so every later link."""

from dataclasses import replace

import pytest

from penstock_server.domain import audit
from penstock_server.domain.principal import Principal

EVENT = audit.AuditEvent(id="evt_1", kind="decision", at_ms=1, actor=Principal("iss", "sub"), effect="allow")


def leaf(event: audit.AuditEvent, seq: int = 1, salt: bytes = b"s" * 16) -> bytes:
    """Computes the leaf of an event as the store does."""
    return audit.leaf_hash(audit.header_json("log", seq, event), audit.body_commitment(salt, audit.body_json(event)))


@pytest.mark.parametrize(
    "change", [{"kind": "x"}, {"effect": "deny"}, {"reason": "r"}, {"details": {"a": 1}}, {"at_ms": 2}]
)
def test_every_change_of_an_event_changes_its_leaf(change: dict[str, object]) -> None:
    """A flipped field of header or body is visible in the leaf hash."""
    assert leaf(replace(EVENT, **change)) != leaf(EVENT)


def test_place_and_salt_are_part_of_the_leaf() -> None:
    """The same event elsewhere, or with another salt, has another leaf."""
    assert leaf(EVENT, seq=2) != leaf(EVENT)
    assert leaf(EVENT, salt=b"t" * 16) != leaf(EVENT)


def test_chain_depends_on_order() -> None:
    """Swapping two leaves gives another chain hash."""
    one, two = leaf(EVENT, 1), leaf(EVENT, 2)
    forward = audit.chain_hash(audit.chain_hash(audit.CHAIN_START, one), two)
    assert forward != audit.chain_hash(audit.chain_hash(audit.CHAIN_START, two), one)

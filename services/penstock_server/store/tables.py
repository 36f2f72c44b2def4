"""The columns that queries name; constraints are the migrations' business. A test holds the two against each other."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

__all__ = [
    "ACTIVE_POLICY",
    "APPROVAL_REQUEST",
    "APPROVAL_REQUIREMENT",
    "APPROVAL_REVIEW",
    "AUDIT_ENTRY",
    "EPOCH",
    "FRAME_BATCH",
    "GRANT",
    "GRANT_USE",
    "POLICY_REVISION",
    "POLICY_RULE",
    "REQUEST_EVENT",
    "SECRET_VERSION",
    "SHIM",
    "TABLES",
]

TABLES = MetaData()


def _table(name: str, *, text: str = "", number: str = "", binary: str = "", boolean: str = "") -> Table[Any]:
    """Returns a table; each argument lists the columns of one type, separated by white space."""
    typed: list[tuple[str, type[TypeEngine[Any]]]] = [
        (text, Text),
        (number, BigInteger),
        (binary, LargeBinary),
        (boolean, Boolean),
    ]
    return Table(name, TABLES, *[Column(column, kind) for names, kind in typed for column in names.split()])


EPOCH = _table("epoch", number="id value")
ACTIVE_POLICY = _table("active_policy", number="id revision")
POLICY_REVISION = _table("policy_revision", number="number created_at_ms", text="document author", binary="digest")
POLICY_RULE = _table(
    "policy_rule",
    number="revision",
    text="name effect upstreams methods paths principals condition mode definition",
)
APPROVAL_REQUEST = _table(
    "approval_request",
    text="id requester_issuer requester_subject owner delegator groups upstream action reason session call_id state",
    number="policy_revision created_at_ms expires_at_ms grant_uses grant_ttl_ms version resolved_at_ms",
    binary="digest",
)
APPROVAL_REQUIREMENT = _table("approval_requirement", text="request_id rule reviewers", number="quorum")
REQUEST_EVENT = _table("request_event", text="request_id prior next actor_issuer actor_subject", number="version at_ms")
APPROVAL_REVIEW = _table(
    "approval_review",
    text="request_id reviewer_issuer reviewer_subject requester_issuer requester_subject owner delegator"
    " reason satisfies",
    number="at_ms",
    boolean="approved",
)
GRANT = _table(
    "access_grant",
    text="id request_id request_state requester_issuer requester_subject",
    number="uses_left start_at_ms end_at_ms revoked_at_ms",
    binary="digest",
)
GRANT_USE = _table("grant_use", text="grant_id call_id state", number="claimed_at_ms settled_at_ms")
"""Uses stay claimed in this version: nobody says yet how a call ended."""
SECRET_VERSION = _table(
    "secret_version", text="name hosts kek_id", number="version created_at_ms", binary="ciphertext wrapped_key"
)
SHIM = _table("shim", text="name upstreams groups", number="created_at_ms revoked_at_ms", binary="token_hash")
FRAME_BATCH = _table("frame_batch", text="shim run_id", number="first_seq last_seq", binary="frames")
"""frames: a penstock.v1.RecordRequest with the frames first_seq to last_seq."""
AUDIT_ENTRY = _table(
    "audit_entry",
    text="log kind call_id header body",
    number="seq",
    binary="salt commitment leaf_hash chain_hash",
)

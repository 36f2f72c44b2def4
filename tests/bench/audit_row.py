"""The audit row that the policy service writes for each decision in http.asked, for those that do not decide."""

import secrets
import time

from penstock_server.domain.audit import AuditEvent
from penstock_server.domain.principal import Principal

__all__ = ["audit_row"]

ACTOR = Principal(issuer="urn:penstock:dev", subject="agent", groups=frozenset({"agents"}))


def audit_row() -> AuditEvent:
    """Returns an event of the size and shape of an allow, with ids of its own."""
    return AuditEvent(
        id=f"evt_{secrets.token_hex(16)}",
        kind="decision",
        at_ms=time.time_ns() // 1_000_000,
        actor=ACTOR,
        upstream="bench",
        method="GET",
        resource="/v1/orders/1001",
        effect="allow",
        decision_id=f"dec_{secrets.token_hex(16)}",
        call_id=secrets.token_hex(16),
        rules=("agents-read", "mask-all"),
        policy_revision=1,
        details={"authority": "127.0.0.1:40000", "shim": "one", "epoch": 4, "masks": 1},
    )

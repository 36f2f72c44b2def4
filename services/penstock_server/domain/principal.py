"""Who acts: a verified principal, and what roles it holds."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Principal", "Role", "roles_of"]


class Role(StrEnum):
    """Names what a caller may be; rpc/ allows each service to exactly one of these (section 6 of the architecture)."""

    SHIM = "shim"
    AGENT = "agent"
    APPROVER = "approver"
    ADMIN = "admin"
    SECRETS = "secrets"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Principal:
    """Holds a verified (issuer, subject) with what its token says. owner: the person who answers for an agent."""

    issuer: str
    subject: str
    groups: frozenset[str] = frozenset()
    owner: str = ""
    delegator: str = ""
    session: str = ""
    expires_at_ms: int = 0


def roles_of(principal: Principal, role_groups: dict[Role, frozenset[str]]) -> frozenset[Role]:
    """Returns the roles that the principal's groups give; an agent, or who acts for one, never holds another role."""
    if principal.owner or principal.delegator or principal.groups & role_groups.get(Role.AGENT, frozenset()):
        return frozenset({Role.AGENT})
    return frozenset(
        role for role, groups in role_groups.items() if role is not Role.SHIM and principal.groups & groups
    )

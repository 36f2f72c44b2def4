"""Roles: an agent, or who acts for one, never holds another role."""

import pytest

from penstock_server.domain.principal import Principal, Role, roles_of

GROUPS = {
    Role.SHIM: frozenset({"shims"}),
    Role.AGENT: frozenset({"agents"}),
    Role.APPROVER: frozenset({"approvers", "finance"}),
    Role.ADMIN: frozenset({"admins"}),
    Role.SECRETS: frozenset({"secrets"}),
    Role.AUDITOR: frozenset({"auditors"}),
}


def roles(*groups: str, owner: str = "", delegator: str = "") -> frozenset[Role]:
    """Returns the roles of a principal in those groups."""
    return roles_of(Principal("urn:i", "ann", frozenset(groups), owner, delegator), GROUPS)


def test_groups_give_roles() -> None:
    """A person may hold several; one without a known group holds none."""
    assert roles("finance", "auditors", "chess") == {Role.APPROVER, Role.AUDITOR}
    assert roles("chess") == frozenset()
    assert roles() == frozenset()


@pytest.mark.parametrize("group", ["approvers", "admins", "secrets", "auditors", "shims"])
def test_an_agent_in_a_powerful_group_is_an_agent(group: str) -> None:
    """Being in the agents' group, or having an owner or delegator, takes every other role away."""
    assert roles("agents", group) == {Role.AGENT}
    assert roles(group, owner="olga") == {Role.AGENT}
    assert roles(group, delegator="dora") == {Role.AGENT}


def test_no_group_makes_a_shim() -> None:
    """A shim is known by its own credential alone, whatever the configuration says."""
    assert roles("shims") == frozenset()


def test_without_an_agents_group_an_owner_still_makes_an_agent() -> None:
    """A configuration that names no group for agents does not open the other roles to them."""
    owned = Principal("urn:i", "bot", frozenset({"admins"}), owner="olga")
    assert roles_of(owned, {Role.ADMIN: frozenset({"admins"})}) == {Role.AGENT}

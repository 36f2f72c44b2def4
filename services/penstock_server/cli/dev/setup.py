"""What dev asks of a service that has just started: an enrolled shim and an active policy; and its tokens."""

import time
from collections.abc import Callable
from typing import Protocol

import grpc

from penstock.v1 import policy_pb2, policy_pb2_grpc, shim_pb2, shim_pb2_grpc
from penstock_server.cli.connection import Connection
from penstock_server.cli.dev.folder import DevFolder
from penstock_server.cli.dev_file import write_private
from penstock_server.cli.text import printable

__all__ = ["EMPTY_POLICY", "ISSUER", "Issuer", "apply_policy", "enrol_shim", "issue_tokens"]

ISSUER = "urn:penstock:dev"
"""Issuer of dev's tokens, and of its people."""

TTL_S = 30 * 86400
"""Life of dev's tokens, seconds; every start issues new ones."""

GROUPS = {
    "agent": "agents",
    "approver": "approvers",
    "admin": "admins",
    "secrets": "secrets",
    "auditor": "auditors",
}
"""Role -> the group that gives it, as in the service's defaults."""

SHIM = "dev-http"
"""Name of the shim; a later enrolment is dev-http-2 and so on."""

EMPTY_POLICY = "# Nothing is reachable: no upstreams, no rules.\nupstreams: {}\nrules: []\n"
"""The policy of a new folder: everything is refused."""


class Issuer(Protocol):
    """Signs tokens; penstock_server.identity.DevIssuer does."""

    def issue(self, *, subject: str, groups: list[str], owner: str, ttl_s: int, now_ms: int) -> str:
        """Returns a compact JWS."""
        ...


def issue_tokens(issuer: Issuer) -> dict[str, str]:
    """Returns one token a role, for the subjects dev-agent, dev-approver and so on."""
    now_ms = time.time_ns() // 1_000_000
    return {
        role: issuer.issue(subject=f"dev-{role}", groups=[group], owner="", ttl_s=TTL_S, now_ms=now_ms)
        for role, group in GROUPS.items()
    }


def enrol_shim(admin: Connection, folder: DevFolder) -> None:
    """Makes sure that shim.token holds the token of an enrolled shim. Raises Failure.

    A token that is there is used again as long as the service knows a dev shim that is not revoked; else the shims
    whose token is lost are revoked and a new one is enrolled.
    """
    listed = admin.call(shim_pb2_grpc.ShimServiceStub, "ListShims", shim_pb2.ListShimsRequest()).shims
    ours = [shim for shim in listed if shim.name == SHIM or shim.name.startswith(f"{SHIM}-")]
    live = [shim for shim in ours if not shim.revoked_at_ms]
    if live and folder.shim_token.is_file():
        return
    folder.shim_token.unlink(missing_ok=True)
    for shim in live:
        admin.call(shim_pb2_grpc.ShimServiceStub, "RevokeShim", shim_pb2.RevokeShimRequest(name=shim.name))
    taken = {shim.name for shim in ours}
    number = 1
    while (name := SHIM if number == 1 else f"{SHIM}-{number}") in taken:
        number += 1
    request = shim_pb2.EnrolShimRequest(name=name, upstreams=["*"], groups=["*"])
    write_private(folder.shim_token, admin.call(shim_pb2_grpc.ShimServiceStub, "EnrolShim", request).token + "\n")


def apply_policy(admin: Connection, document: str | None, say: Callable[[str], None]) -> int:
    """Applies the document, or the empty policy if there is neither a document nor an active revision.

    Returns the active revision. Raises Failure, with every problem of the document.
    """
    if document is None:
        active = _active(admin)
        if active:
            return active
        document = EMPTY_POLICY
    request = policy_pb2.ApplyPolicyRequest(document=document)
    answer = admin.call(policy_pb2_grpc.PolicyServiceStub, "ApplyPolicy", request)
    for warning in answer.warnings:
        say(printable(f"warning: {warning}"))
    for change in answer.changes:
        say(printable(f"policy: {change}"))
    return int(answer.revision)


def _active(admin: Connection) -> int:
    """Returns the number of the active revision, 0 if there is none."""
    request = policy_pb2.ShowPolicyRequest()
    answer = admin.call(policy_pb2_grpc.PolicyServiceStub, "ShowPolicy", request, absent=grpc.StatusCode.NOT_FOUND)
    return int(answer.revision.number) if answer is not None else 0

"""ApprovalService and ApproverService: the requester's side and the reviewer's side of approval requests."""

from typing import Any

import grpc.aio

from penstock.v1 import approval_pb2, approval_pb2_grpc, approver_pb2, approver_pb2_grpc
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.review import Reviews
from penstock_server.rpc.convert import approval_to_pb, state_from_pb
from penstock_server.rpc.edge import caller

__all__ = ["ApprovalServicer", "ApproverServicer"]

Context = grpc.aio.ServicerContext[Any, Any]

MAX_WAIT_MS = 600_000
"""Longest wait of WaitApproval, milliseconds: the default life of a pending request."""
DEFAULT_PAGE = 50
MAX_PAGE = 200


class ApprovalServicer(approval_pb2_grpc.ApprovalServiceServicer):
    """Serves requesters."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews

    async def GetApproval(
        self, request: approval_pb2.GetApprovalRequest, context: Context
    ) -> approval_pb2.GetApprovalResponse:
        """Returns one request of the caller."""
        found = await self._reviews.own(caller(), request.name)
        return approval_pb2.GetApprovalResponse(approval=approval_to_pb(found))

    async def WaitApproval(
        self, request: approval_pb2.WaitApprovalRequest, context: Context
    ) -> approval_pb2.WaitApprovalResponse:
        """Returns one request of the caller once it has left pending, or at the timeout."""
        timeout_s = min(request.timeout_ms, MAX_WAIT_MS) / 1000
        found = await self._reviews.own(caller(), request.name, timeout_s)
        return approval_pb2.WaitApprovalResponse(approval=approval_to_pb(found))


class ApproverServicer(approver_pb2_grpc.ApproverServiceServicer):
    """Serves reviewers."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews

    async def ListApprovals(
        self, request: approver_pb2.ListApprovalsRequest, context: Context
    ) -> approver_pb2.ListApprovalsResponse:
        """Lists what the caller may review."""
        limit = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
        state = state_from_pb(request.state)
        rows, after = await self._reviews.page(caller(), state, limit, _cursor(request.page_token))
        return approver_pb2.ListApprovalsResponse(
            approvals=[approval_to_pb(row, listed=True) for row in rows],
            next_page_token=f"{after[0]}:{after[1]}" if after else "",
        )

    async def ReviewedApproval(
        self, request: approver_pb2.ReviewedApprovalRequest, context: Context
    ) -> approver_pb2.ReviewedApprovalResponse:
        """Returns one request that the caller may review."""
        found = await self._reviews.show(caller(), request.name)
        return approver_pb2.ReviewedApprovalResponse(approval=approval_to_pb(found))

    async def Approve(self, request: approver_pb2.ApproveRequest, context: Context) -> approver_pb2.ApproveResponse:
        """Says yes."""
        after = await self._reviews.decide(
            caller(), request.name, approved=True, reason=request.reason, seen_digest=request.action_digest
        )
        return approver_pb2.ApproveResponse(approval=approval_to_pb(after))

    async def Deny(self, request: approver_pb2.DenyRequest, context: Context) -> approver_pb2.DenyResponse:
        """Says no."""
        after = await self._reviews.decide(caller(), request.name, approved=False, reason=request.reason)
        return approver_pb2.DenyResponse(approval=approval_to_pb(after))


def _cursor(token: str) -> tuple[int, str] | None:
    """Returns where a page starts. Raises INVALID if the token is not one of ours."""
    if not token:
        return None
    at, _, name = token.partition(":")
    if not (at.isascii() and at.isdecimal()) or len(at) > 18 or not name:
        raise PenstockError(Code.INVALID, "PAGE_TOKEN", "page_token is not one that this service gave: leave it out")
    return int(at), name

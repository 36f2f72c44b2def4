"""An ApproverService in this process, over a Unix socket, for tests of commands."""

import contextlib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock.v1 import action_pb2, approval_pb2, approver_pb2, approver_pb2_grpc

__all__ = ["TOKEN", "FakeApprover", "pending", "running_approver"]

TOKEN = "ey" + "J.a.b"


def pending(name: str) -> approval_pb2.Approval:
    """Returns a pending request with that name."""
    http = action_pb2.HttpRequest(method="POST", authority="b", path="/v1/refunds", body=b'{"amount":5}')
    return approval_pb2.Approval(
        name=name,
        state=approval_pb2.APPROVAL_STATE_PENDING,
        requester=action_pb2.Principal(subject="bot"),
        action=action_pb2.Action(upstream="billing", http=http),
        action_digest=name.encode().ljust(32, b"."),
        requirements=[approval_pb2.Requirement(rule="r", quorum=2)],
        expires_at_ms=4_000_000_000_000,
    )


class FakeApprover(approver_pb2_grpc.ApproverServiceServicer):
    """Holds requests by name, remembers what was asked, and refuses with `refusal` if one is set."""

    def __init__(self) -> None:
        self.approvals: dict[str, approval_pb2.Approval] = {}
        self.asked: list[Any] = []
        self.refusal: tuple[int, str, list[Any]] | None = None
        self.page = 200

    def _enter(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not known")
        if self.refusal is not None:
            code, message, details = self.refusal
            packed = []
            for detail in details:
                packed.append(any_pb2.Any())
                packed[-1].Pack(detail)
            context.abort_with_status(
                rpc_status.to_status(status_pb2.Status(code=code, message=message, details=packed))
            )

    def ListApprovals(self, request: Any, context: Any) -> approver_pb2.ListApprovalsResponse:  # noqa: N802, RUF100 - RPC
        self._enter(request, context)
        chosen = [one for one in self.approvals.values() if one.state == request.state]
        start = int(request.page_token or 0)
        end = start + min(self.page, request.page_size)
        return approver_pb2.ListApprovalsResponse(
            approvals=chosen[start:end], next_page_token=str(end) if end < len(chosen) else ""
        )

    def ReviewedApproval(self, request: Any, context: Any) -> approver_pb2.ReviewedApprovalResponse:  # noqa: N802, RUF100 - RPC
        self._enter(request, context)
        if request.name not in self.approvals:
            self.refuse_not_found(request.name)
            self._enter(request, context)
        return approver_pb2.ReviewedApprovalResponse(approval=self.approvals[request.name])

    def refuse_not_found(self, name: str) -> None:
        """Refuses everything from now on with NOT_FOUND and its reason."""
        info = error_details_pb2.ErrorInfo(reason="APPROVAL_NOT_FOUND", domain="penstock")
        self.refusal = (code_pb2.NOT_FOUND, f"there is no approval request {name}", [info])

    def Approve(self, request: Any, context: Any) -> approver_pb2.ApproveResponse:  # noqa: N802, RUF100 - RPC
        self._enter(request, context)
        approval = self.approvals[request.name]
        approval.requirements[0].approved = 1
        return approver_pb2.ApproveResponse(approval=approval)

    def Deny(self, request: Any, context: Any) -> approver_pb2.DenyResponse:  # noqa: N802, RUF100 - RPC
        self._enter(request, context)
        approval = self.approvals[request.name]
        approval.state = approval_pb2.APPROVAL_STATE_DENIED
        return approver_pb2.DenyResponse(approval=approval)


@contextlib.contextmanager
def running_approver(folder: Path) -> Iterator[tuple[FakeApprover, str]]:
    """Runs a fake for a block; yields it and its address."""
    fake = FakeApprover()
    with futures.ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        approver_pb2_grpc.add_ApproverServiceServicer_to_server(fake, server)
        address = f"unix:{folder / 's'}"
        server.add_insecure_port(address)
        server.start()
        try:
            yield fake, address
        finally:
            server.stop(None).wait()

"""PolicyService: documents in, revisions out."""

from typing import Any

import grpc.aio

from penstock.v1 import policy_pb2, policy_pb2_grpc
from penstock_server.operations.policies import Policies
from penstock_server.rpc.convert import number_from_pb, revision_to_pb
from penstock_server.rpc.edge import caller

__all__ = ["PolicyServicer"]

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE = 50
MAX_PAGE = 200


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Serves admins."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def ApplyPolicy(
        self, request: policy_pb2.ApplyPolicyRequest, context: Context
    ) -> policy_pb2.ApplyPolicyResponse:
        """Validates a document and, unless dry_run, makes it active."""
        applied = await self._policies.apply(caller(), request.document, dry_run=request.dry_run)
        return policy_pb2.ApplyPolicyResponse(
            revision=applied.revision, changes=applied.changes, warnings=applied.warnings
        )

    async def ShowPolicy(
        self, request: policy_pb2.ShowPolicyRequest, context: Context
    ) -> policy_pb2.ShowPolicyResponse:
        """Returns one revision."""
        row = await self._policies.show(number_from_pb(request.revision))
        return policy_pb2.ShowPolicyResponse(revision=revision_to_pb(row), document=row.document)

    async def ListRevisions(
        self, request: policy_pb2.ListRevisionsRequest, context: Context
    ) -> policy_pb2.ListRevisionsResponse:
        """Lists revisions, newest first."""
        limit = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
        rows = await self._policies.revisions(before=number_from_pb(request.before), limit=limit)
        return policy_pb2.ListRevisionsResponse(revisions=[revision_to_pb(row) for row in rows])

    async def RollbackPolicy(
        self, request: policy_pb2.RollbackPolicyRequest, context: Context
    ) -> policy_pb2.RollbackPolicyResponse:
        """Makes an earlier document active again."""
        applied = await self._policies.rollback(caller(), number_from_pb(request.revision))
        return policy_pb2.RollbackPolicyResponse(revision=applied.revision, changes=applied.changes)

"""Tests of PolicyService."""

import grpc
import pytest

from penstock.v1 import policy_pb2
from unit.penstock_server.operations.world import NOTHING, POLICY, World
from unit.penstock_server.rpc.memory_server import AbortedError, MemoryServer

pytestmark = pytest.mark.anyio


async def test_a_document_is_applied_shown_and_rolled_back(server: MemoryServer, world: World) -> None:
    """Each change is a revision with its author and digest."""
    applied = await server.call("PolicyService/ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=NOTHING), "root")
    assert applied.revision == 2 and len(applied.changes) > 0
    shown = await server.call("PolicyService/ShowPolicy", policy_pb2.ShowPolicyRequest(), "root")
    assert (shown.document, shown.revision.number, shown.revision.author) == (NOTHING, 2, "root")
    assert shown.revision.active and len(shown.revision.digest) == 32
    back = await server.call("PolicyService/RollbackPolicy", policy_pb2.RollbackPolicyRequest(revision=1), "root")
    assert back.revision == 3
    listed = await server.call("PolicyService/ListRevisions", policy_pb2.ListRevisionsRequest(page_size=2), "root")
    assert [(one.number, one.active) for one in listed.revisions] == [(3, True), (2, False)]
    listed = await server.call("PolicyService/ListRevisions", policy_pb2.ListRevisionsRequest(before=2), "root")
    assert [one.number for one in listed.revisions] == [1]


async def test_a_dry_run_changes_nothing(server: MemoryServer, world: World) -> None:
    """And tells what would change."""
    request = policy_pb2.ApplyPolicyRequest(document=NOTHING, dry_run=True)
    assert len((await server.call("PolicyService/ApplyPolicy", request, "root")).changes) > 0
    assert len(world.policies.rows) == 1


async def test_every_problem_of_a_document_comes_back(server: MemoryServer) -> None:
    """In the standard detail."""
    broken = POLICY.replace("effect: deny", "effect: destroy")
    with pytest.raises(AbortedError) as refused:
        await server.call("PolicyService/ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=broken), "root")
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert b"google.rpc.BadRequest" in dict(refused.value.status.trailing_metadata)["grpc-status-details-bin"]


@pytest.mark.parametrize("number", [9, 2**63, 2**64 - 1])
async def test_a_revision_that_is_not_there_is_not_found(server: MemoryServer, number: int) -> None:
    """Also with a number that no database can hold."""
    for method, request in (
        ("ShowPolicy", policy_pb2.ShowPolicyRequest(revision=number)),
        ("RollbackPolicy", policy_pb2.RollbackPolicyRequest(revision=number)),
    ):
        with pytest.raises(AbortedError) as refused:
            await server.call(f"PolicyService/{method}", request, "root")
        assert refused.value.code is grpc.StatusCode.NOT_FOUND
    listed = await server.call("PolicyService/ListRevisions", policy_pb2.ListRevisionsRequest(before=number), "root")
    assert [one.number for one in listed.revisions] == [1]

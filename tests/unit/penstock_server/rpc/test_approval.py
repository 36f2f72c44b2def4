"""Tests of ApprovalService and ApproverService."""

from dataclasses import replace

import grpc
import pytest

from penstock.v1 import approval_pb2 as pb
from penstock.v1 import approver_pb2
from unit.penstock_server.operations.world import AGENT, World, refund
from unit.penstock_server.rpc.memory_server import AbortedError, MemoryServer, info_of

pytestmark = pytest.mark.anyio


async def _pending(world: World, amount: int = 250, number: int = 1) -> str:
    return (await world.ask(refund(amount), number)).approval


async def test_a_requester_gets_its_own_request(server: MemoryServer, world: World) -> None:
    """Whole, and with the state of now."""
    name = await _pending(world)
    found = (await server.call("ApprovalService/GetApproval", pb.GetApprovalRequest(name=name), "bot")).approval
    assert (found.name, found.state, found.requester.subject) == (name, pb.APPROVAL_STATE_PENDING, "bot")
    assert found.action.http.path == "/v1/refunds" and found.action.http.body == b'{"amount": 250}'
    world.verifier.principals["other"] = replace(AGENT, subject="other")
    with pytest.raises(AbortedError) as refused:
        await server.call("ApprovalService/GetApproval", pb.GetApprovalRequest(name=name), "other")
    assert refused.value.code is grpc.StatusCode.NOT_FOUND


async def test_waiting_answers_at_the_timeout_and_at_the_decision(server: MemoryServer, world: World) -> None:
    """A timeout is no verdict."""
    name = await _pending(world)
    request = pb.WaitApprovalRequest(name=name, timeout_ms=1)
    waited = await server.call("ApprovalService/WaitApproval", request, "bot")
    assert waited.approval.state == pb.APPROVAL_STATE_PENDING
    await world.review(name)
    request = pb.WaitApprovalRequest(name=name, timeout_ms=2**63)
    waited = await server.call("ApprovalService/WaitApproval", request, "bot")
    assert waited.approval.state == pb.APPROVAL_STATE_APPROVED


async def test_an_approver_lists_shows_and_decides(server: MemoryServer, world: World) -> None:
    """The answer of a decision is the request as it is then."""
    name = await _pending(world)
    listed = await server.call("ApproverService/ListApprovals", approver_pb2.ListApprovalsRequest(), "ann")
    assert [one.name for one in listed.approvals] == [name]
    shown = await server.call(
        "ApproverService/ReviewedApproval", approver_pb2.ReviewedApprovalRequest(name=name), "ann"
    )
    request = approver_pb2.ApproveRequest(name=name, reason="fine", action_digest=shown.approval.action_digest)
    approved = (await server.call("ApproverService/Approve", request, "ann")).approval
    assert (approved.state, approved.reviews[0].reason) == (pb.APPROVAL_STATE_APPROVED, "fine")
    assert approved.grant.uses_left == 1 and approved.grant.end_at_ms - approved.grant.start_at_ms == 300_000
    listed = await server.call(
        "ApproverService/ListApprovals",
        approver_pb2.ListApprovalsRequest(state=pb.APPROVAL_STATE_APPROVED),
        "ann",
    )
    assert [one.name for one in listed.approvals] == [name]


async def test_another_action_than_the_one_that_was_shown_is_not_approved(server: MemoryServer, world: World) -> None:
    """The digest is the server's own."""
    name = await _pending(world)
    with pytest.raises(AbortedError) as refused:
        request = approver_pb2.ApproveRequest(name=name, action_digest=bytes(32))
        await server.call("ApproverService/Approve", request, "ann")
    assert info_of(refused.value.status).reason == "ACTION_CHANGED"


async def test_a_denial_is_final(server: MemoryServer, world: World) -> None:
    """With its reason for the agent."""
    name = await _pending(world)
    denied = await server.call("ApproverService/Deny", approver_pb2.DenyRequest(name=name, reason="no"), "ann")
    assert denied.approval.state == pb.APPROVAL_STATE_DENIED
    world.person("bob", "finance")
    with pytest.raises(AbortedError) as refused:
        await server.call("ApproverService/Approve", approver_pb2.ApproveRequest(name=name), "bob")
    assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert info_of(refused.value.status).metadata["state"] == "denied"


async def test_pages_follow_each_other_without_gap(server: MemoryServer, world: World) -> None:
    """By the token that each gives."""
    names = []
    for number in range(1, 6):
        world.clock.now_ms += 1
        names.append(await _pending(world, number, number))
    found, token = [], ""
    while True:
        request = approver_pb2.ListApprovalsRequest(page_size=2, page_token=token)
        page = await server.call("ApproverService/ListApprovals", request, "ann")
        found += [one.name for one in page.approvals]
        token = page.next_page_token
        if not token:
            break
    assert found == names[::-1]


@pytest.mark.parametrize("token", ["x", "1", "1:", ":apr_1", "-1:apr_1", "1.5:a", "9" * 19 + ":a", "١:a"])
async def test_a_page_token_that_is_not_ours_is_refused(server: MemoryServer, token: str) -> None:
    """As INVALID_ARGUMENT."""
    with pytest.raises(AbortedError) as refused:
        request = approver_pb2.ListApprovalsRequest(page_token=token)
        await server.call("ApproverService/ListApprovals", request, "ann")
    assert info_of(refused.value.status).reason == "PAGE_TOKEN"


async def test_a_state_that_is_unknown_is_refused(server: MemoryServer) -> None:
    """A newer client's, for example."""
    with pytest.raises(AbortedError) as refused:
        request = approver_pb2.ListApprovalsRequest(state=99)  # type: ignore[arg-type] # not one of ours
        await server.call("ApproverService/ListApprovals", request, "ann")
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT

"""Two services over one PostgreSQL, as on two machines: each with its own log, and of one mind in everything else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.service import POLICY, Service, an_ask, another_node, refund
from penstock.v1 import approver_pb2, audit_pb2, decision_pb2, policy_pb2, shim_pb2

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]


@pytest.fixture
async def other(service: Service, tmp_path: Path) -> AsyncIterator[Service]:
    """Runs a second service over the first one's database."""
    async with another_node(service, tmp_path / "other", "other") as running:
        yield running


async def _log(service: Service) -> list[audit_pb2.AuditEntry]:
    answer = await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(page_size=1000), "aud")
    return list(answer.entries)


async def test_a_policy_applied_at_one_holds_at_the_other(service: Service, other: Service) -> None:
    """From its next commit on: not one question later, whoever was told of the change meanwhile."""
    shim = await other.shim()
    for number in range(1, 11):
        effect = "deny" if number % 2 else "allow"
        document = POLICY.replace("effect: allow", f"effect: {effect}")
        applied = await service.call("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=document), "root")
        (verdict,) = await shim.ask(an_ask(number, token=other.agent))
        assert verdict.policy_revision == applied.revision
        assert verdict.outcome == (decision_pb2.OUTCOME_DENY if number % 2 else decision_pb2.OUTCOME_ALLOW)


async def test_an_approval_given_at_one_lets_a_call_held_at_the_other_go_on(service: Service, other: Service) -> None:
    """And its one use is spent for both."""
    holding, here = await other.shim(), await service.shim()
    agent = service.agent
    (pending,) = await holding.ask(refund(1, token=agent))
    assert pending.outcome == decision_pb2.OUTCOME_PENDING
    await service.call("Approver.Approve", approver_pb2.ApproveRequest(name=pending.approval.name), "grace")
    final = await holding.verdict()
    assert (final.call_id, final.outcome) == (pending.call_id, decision_pb2.OUTCOME_ALLOW)
    (again,) = await here.ask(refund(2, token=agent))
    assert again.outcome == decision_pb2.OUTCOME_PENDING


async def test_a_shim_revoked_at_one_is_cut_at_the_other(service: Service, other: Service) -> None:
    """Although nobody asks there."""
    shim = await other.shim()
    await service.call("Shim.RevokeShim", shim_pb2.RevokeShimRequest(name="one"), "root")
    assert (await shim.cut()).code().name == "UNAUTHENTICATED"


async def test_each_writes_a_log_of_its_own(service: Service, other: Service) -> None:
    """Numbered without gaps, although both write at once."""
    here, there = await service.shim(), await other.shim()
    before = len(await _log(service))
    for number in range(1, 11):
        await here.write(an_ask(number, token=service.agent))
        await there.write(an_ask(number + 100, token=service.agent))
    for shim in (here, there):
        for _ in range(10):
            assert (await shim.verdict()).outcome == decision_pb2.OUTCOME_ALLOW
    mine, others = await _log(service), await _log(other)
    assert [entry.seq for entry in mine] == list(range(1, before + 11))
    assert [entry.seq for entry in others] == list(range(1, 11))
    assert {int(entry.call_id, 16) for entry in others} == set(range(101, 111))
    assert {entry.log for entry in mine} == {"main"} and {entry.log for entry in others} == {"other"}

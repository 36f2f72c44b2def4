"""What the service does while its database fails it: nothing is allowed, nothing half is stored; it then goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from sqlalchemy import text

from integration.service import POLICY, SECRET, Service, an_ask, reason_of, refund, running_service
from penstock.v1 import approver_pb2, audit_pb2, decision_pb2, policy_pb2, secret_pb2
from penstock_server.store.engine import Database

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _without(service: Service, table: str) -> AsyncIterator[None]:
    """Takes a table away for a block, as a broken disk or a wrong hand does."""
    database = Database(service.config.database)
    async with database.write() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO gone"))
    try:
        yield
    finally:
        async with database.write() as connection:
            await connection.execute(text(f"ALTER TABLE gone RENAME TO {table}"))
        await database.close()


async def _seqs(service: Service) -> list[int]:
    entries = await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(page_size=1000), "aud")
    return [entry.seq for entry in entries.entries]


async def test_without_a_log_nothing_is_allowed_and_nothing_changes(service: Service) -> None:
    """Decisions are refused, changes too; all of it works again once the log does, and no number is missing."""
    shim, agent = await service.shim(), service.agent
    (pending,) = await shim.ask(refund(1, token=agent))
    async with _without(service, "audit_entry"):
        for verdict in await shim.ask(an_ask(2, token=agent), refund(3, token=agent), refund(4, 50, token=agent)):
            assert (verdict.outcome, verdict.code) == (decision_pb2.OUTCOME_DENY, "service_unavailable")
            assert not verdict.HasField("obligations") and SECRET.encode() not in verdict.SerializeToString()
        for method, request, who in (
            ("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document="rules: []\n"), "root"),
            ("Approver.Approve", approver_pb2.ApproveRequest(name=pending.approval.name), "grace"),
            (
                "Secret.PutSecret",
                secret_pb2.PutSecretRequest(name="billing-key", value=b"another-value", hosts=["a"]),
                "sam",
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await service.call(method, request, who)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    (verdict,) = await shim.ask(an_ask(5, token=agent))
    assert (verdict.outcome, verdict.policy_revision) == (decision_pb2.OUTCOME_ALLOW, 1)
    assert verdict.obligations.credential.value == SECRET.encode()
    shown = approver_pb2.ReviewedApprovalRequest(name=pending.approval.name)
    assert len((await service.call("Approver.ReviewedApproval", shown, "grace")).approval.reviews) == 0
    seqs = await _seqs(service)
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("table", ["approval_request", "access_grant"])
async def test_without_approvals_only_gated_actions_are_refused(service: Service, table: str) -> None:
    """The rest goes on; the refusal is logged and names no table."""
    shim, agent = await service.shim(), service.agent
    async with _without(service, table):
        gated, plain = await shim.ask(refund(1, token=agent), an_ask(2, token=agent))
        assert plain.outcome == decision_pb2.OUTCOME_ALLOW
        assert gated.outcome == decision_pb2.OUTCOME_DENY and table not in gated.reason
    (again,) = await shim.ask(refund(3, token=agent))
    assert again.outcome == decision_pb2.OUTCOME_PENDING


async def test_a_policy_change_that_fails_in_the_middle_leaves_nothing(service: Service) -> None:
    """Neither revision nor epoch: it is one transaction; the log keeps the attempt."""
    shim = await service.shim()
    async with _without(service, "policy_rule"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            document = "upstreams: {a: {url: 'https://a.example'}}\nrules: [{name: x, effect: allow}]\n"
            await service.call("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=document), "root")
        assert reason_of(refused.value) == "DATABASE_UNAVAILABLE"
    shown = await service.call("Policy.ShowPolicy", policy_pb2.ShowPolicyRequest(), "root")
    assert shown.revision.number == 1
    (verdict,) = await shim.ask(an_ask(1, token=service.agent))
    assert (verdict.outcome, verdict.epoch) == (decision_pb2.OUTCOME_ALLOW, shim.epoch)
    kinds = await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(kind="policy.apply.failed"), "aud")
    assert len(kinds.entries) == 1


async def test_a_lost_key_stops_what_needs_it_and_nothing_else(tmp_path: Path, database_url: str) -> None:
    """The service starts, denies what uses a secret of the former key, and takes that secret anew."""
    policy = POLICY.replace("rules:", "  plain: {url: https://billing.example}\nrules:").replace(
        "upstreams: [billing], http: {methods: [GET]}", "http: {methods: [GET]}"
    )
    async with running_service(tmp_path, database_url) as service:
        await service.prepare(policy)
        shim_token = service.shim_token
    (tmp_path / "data" / "kek.key").unlink()
    async with running_service(tmp_path, database_url) as service:
        shim, agent = await service.shim(shim_token), service.agent
        plain = an_ask(2, token=agent)
        plain.action.upstream = "plain"
        denied, allowed = await shim.ask(an_ask(1, token=agent), plain)
        assert (denied.outcome, denied.code) == (decision_pb2.OUTCOME_DENY, "secret_unreadable")
        assert allowed.outcome == decision_pb2.OUTCOME_ALLOW
        put = secret_pb2.PutSecretRequest(name="billing-key", value=SECRET.encode(), hosts=["billing.example"])
        await service.call("Secret.PutSecret", put, "sam")
        (again,) = await shim.ask(an_ask(3, token=agent))
        assert again.obligations.credential.value == SECRET.encode()

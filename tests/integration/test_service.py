"""The service as its clients see it: over a real socket and a real database, on SQLite and on PostgreSQL."""

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from integration.service import POLICY, SECRET, Service, an_ask, reason_of, refund, running_service
from penstock.v1 import (
    approval_pb2,
    approver_pb2,
    audit_pb2,
    audit_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    policy_pb2,
    recording_pb2,
    recording_pb2_grpc,
    shim_pb2,
    token_pb2,
)
from penstock_server.operations.review import Reviews
from penstock_server.rpc.edge import OPEN_SERVICES, SERVICE_ROLES
from penstock_server.rpc.status import INTERNAL_TEXT

pytestmark = pytest.mark.anyio


async def _approve(service: Service, name: str, who: str = "grace") -> approval_pb2.Approval:
    answer = await service.call("Approver.Approve", approver_pb2.ApproveRequest(name=name), who)
    return answer.approval  # type: ignore[no-any-return] # stubs are untyped


async def _entries(service: Service, **fields: object) -> list[audit_pb2.AuditEntry]:
    request = audit_pb2.ListEntriesRequest(page_size=1000, **fields)  # type: ignore[arg-type] # the names are the fields'
    return list((await service.call("Audit.ListEntries", request, "aud")).entries)


async def test_a_shim_is_told_of_its_upstreams_first(service: Service) -> None:
    """With the value to mask, and the revision."""
    shim = await service.shim()
    (config,) = shim.configs
    assert config.policy_revision == 1
    (upstream,) = config.upstreams
    assert (upstream.name, upstream.url, upstream.mount) == ("billing", "https://billing.example", "/billing")
    assert [value.value for value in upstream.known_values] == [SECRET.encode()]


async def test_a_stream_decides(service: Service) -> None:
    """Allow with the credential, deny with rule and reason, pending with the approval, and a body that is needed."""
    shim, agent = await service.shim(), service.agent
    allow, deny, need, pending, small = await shim.ask(
        an_ask(1, token=agent),
        an_ask(2, "DELETE", token=agent),
        refund(3, token=agent, withheld=True),
        refund(4, 250, token=agent),
        refund(5, 50, token=agent),
    )
    assert allow.outcome == small.outcome == decision_pb2.OUTCOME_ALLOW
    assert allow.obligations.credential.value == SECRET.encode()
    assert (deny.outcome, deny.rule, deny.reason) == (
        decision_pb2.OUTCOME_DENY,
        "no-deletes",
        "nothing is deleted here",
    )
    assert (need.outcome, need.need_body_max) == (decision_pb2.OUTCOME_NEED_BODY, 8 << 20)
    assert (pending.outcome, pending.approval.hold_ms) == (decision_pb2.OUTCOME_PENDING, 60_000)
    logged = {entry.call_id[-1]: entry.effect for entry in await _entries(service, kind="decision")}
    assert logged == {"1": "allow", "2": "deny", "4": "pending", "5": "allow"}


async def test_a_held_verdict_arrives_on_its_stream(service: Service) -> None:
    """After a person agreed; the same request sent again is held again."""
    shim, agent = await service.shim(), service.agent
    (pending,) = await shim.ask(refund(1, token=agent))
    listed = await service.call("Approver.ListApprovals", approver_pb2.ListApprovalsRequest(), "grace")
    assert [one.name for one in listed.approvals] == [pending.approval.name]
    approved = await _approve(service, pending.approval.name)
    assert approved.state == approval_pb2.APPROVAL_STATE_APPROVED
    final = await shim.verdict()
    assert (final.call_id, final.outcome) == (pending.call_id, decision_pb2.OUTCOME_ALLOW)
    assert final.obligations.credential.value == SECRET.encode()
    (again,) = await shim.ask(refund(2, token=agent))
    assert again.outcome == decision_pb2.OUTCOME_PENDING and again.approval.name != pending.approval.name
    kinds = [entry.kind for entry in await _entries(service)]
    assert kinds.index("approval.review") < kinds.index("approval.approved")
    allowed = next(entry for entry in await _entries(service, kind="decision") if entry.effect == "allow")
    assert (allowed.approval, allowed.grant) == (pending.approval.name, approved.grant.name)


async def test_a_denial_arrives_too_and_stands(service: Service) -> None:
    """With what the reviewer said."""
    shim, agent = await service.shim(), service.agent
    (pending,) = await shim.ask(refund(1, token=agent))
    deny = approver_pb2.DenyRequest(name=pending.approval.name, reason="not this one")
    await service.call("Approver.Deny", deny, "grace")
    final = await shim.verdict()
    assert (final.outcome, final.code) == (decision_pb2.OUTCOME_DENY, "approval_denied")
    assert "not this one" in final.reason
    (again,) = await shim.ask(refund(2, token=agent))
    assert (again.code, again.approval.name) == ("approval_denied", pending.approval.name)


async def test_neither_agent_nor_owner_nor_requester_approves(service: Service) -> None:
    """Whatever groups their tokens name."""
    shim = await service.shim()
    (pending,) = await shim.ask(refund(1, token=service.agent))
    request = approver_pb2.ApproveRequest(name=pending.approval.name)
    for token, code in (
        (service.agent, grpc.StatusCode.PERMISSION_DENIED),
        (service.token("bot", "agents", "approvers", owner="olga"), grpc.StatusCode.PERMISSION_DENIED),
        (service.token("ann", "agents", "approvers"), grpc.StatusCode.PERMISSION_DENIED),
        (service.token("ann", "approvers", owner="zoe"), grpc.StatusCode.PERMISSION_DENIED),
        (service.token("root", "admins"), grpc.StatusCode.PERMISSION_DENIED),
        (service.token("olga", "approvers"), grpc.StatusCode.NOT_FOUND),
        (service.token("bot", "approvers"), grpc.StatusCode.NOT_FOUND),
        (service.shim_token, grpc.StatusCode.UNAUTHENTICATED),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.call("Approver.Approve", request, token)
        assert refused.value.code() is code
    own = await service.call(
        "Approval.GetApproval", approval_pb2.GetApprovalRequest(name=pending.approval.name), service.agent
    )
    assert own.approval.state == approval_pb2.APPROVAL_STATE_PENDING


async def test_an_agents_token_alone_opens_no_stream(service: Service) -> None:
    """Neither decisions nor recordings; nor does a shim's credential without the agent's token decide anything."""
    for stream in (
        service.stub(decision_pb2_grpc, "DecisionService").DecideStream(metadata=service.metadata(service.agent)),
        service.stub(recording_pb2_grpc, "RecordingService").Record(metadata=service.metadata(service.agent)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.UNAUTHENTICATED, "SHIM_UNKNOWN")
    shim = await service.shim()
    for token in ("", "forged", service.shim_token):
        (verdict,) = await shim.ask(an_ask(1, token=token))
        assert verdict.outcome == decision_pb2.OUTCOME_DENY and verdict.code.startswith("token_")


async def test_a_revoked_shims_streams_are_cut(service: Service) -> None:
    """Decisions at once, recordings at the next batch; other shims go on, and the credential opens nothing more."""
    token = await service.enrol("two")
    revoked, other = await service.shim(token), await service.shim()
    recording = service.stub(recording_pb2_grpc, "RecordingService").Record(metadata=service.metadata(token))
    await recording.write(_batch(1))
    assert (await recording.read()).acknowledged == 1
    await service.call("Shim.RevokeShim", shim_pb2.RevokeShimRequest(name="two"), "root")
    assert reason_of(await revoked.cut()) == "SHIM_REVOKED"
    await recording.write(_batch(2))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await recording.read()
    assert reason_of(refused.value) == "SHIM_REVOKED"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await service.shim(token)
    assert reason_of(refused.value) == "SHIM_UNKNOWN"
    (verdict,) = await other.ask(an_ask(1, token=service.agent))
    assert verdict.outcome == decision_pb2.OUTCOME_ALLOW


async def test_a_policy_change_is_pushed_with_its_epoch(service: Service) -> None:
    """Verdicts are of the new policy from then on; a rollback is pushed like any other change."""
    shim = await service.shim()
    before = shim.epoch
    closed = POLICY.replace("effect: allow", "effect: deny")
    applied = await service.call("Policy.ApplyPolicy", policy_pb2.ApplyPolicyRequest(document=closed), "root")
    await shim.read()
    assert (shim.configs[-1].policy_revision, applied.revision) == (2, 2) and shim.epoch > before
    (verdict,) = await shim.ask(an_ask(1, token=service.agent))
    assert (verdict.outcome, verdict.policy_revision) == (decision_pb2.OUTCOME_DENY, 2)
    assert verdict.epoch == shim.epoch
    await service.call("Policy.RollbackPolicy", policy_pb2.RollbackPolicyRequest(revision=1), "root")
    await shim.read()
    assert shim.configs[-1].policy_revision == 3
    (verdict,) = await shim.ask(an_ask(2, token=service.agent))
    assert verdict.outcome == decision_pb2.OUTCOME_ALLOW


async def test_a_document_with_many_problems_gets_an_answer(service: Service) -> None:
    """More than gRPC's metadata could hold: the first ones come back; nothing changed."""
    rules = "".join(f"  - {{name: r{number}, effect: unknown-effect-{number}}}\n" for number in range(500))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        request = policy_pb2.ApplyPolicyRequest(document=f"upstreams: {{}}\nrules:\n{rules}")
        await service.call("Policy.ApplyPolicy", request, "root")
    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "POLICY_INVALID")
    shown = await service.call("Policy.ShowPolicy", policy_pb2.ShowPolicyRequest(), "root")
    assert shown.revision.number == 1


async def test_health_and_reflection_answer_without_a_credential(service: Service) -> None:
    """What serves, how it is, and NOT_FOUND for what is unknown; a watch gets the state at once."""
    health = health_pb2_grpc.HealthStub(service.channel)
    request = health_pb2.HealthCheckRequest
    assert (await health.Check(request())).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Check(request(service="unknown"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(request())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    reflection = reflection_pb2_grpc.ServerReflectionStub(service.channel).ServerReflectionInfo()
    await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = (await reflection.read()).list_services_response.service
    served = SERVICE_ROLES.keys() - {"penstock.v1.TokenService"}  # which the configuration does not ask for
    assert {one.name for one in listed} == served | (OPEN_SERVICES & {"grpc.health.v1.Health"})
    await reflection.done_writing()


async def test_the_log_is_listed_and_followed(service: Service) -> None:
    """Numbers have no gap, each chain hash is its own, and a tail gets what comes."""
    shim = await service.shim()
    await shim.ask(*(an_ask(number, token=service.agent) for number in range(1, 30)))
    entries = await _entries(service)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert len({entry.chain_hash for entry in entries}) == len(entries)
    tail = service.stub(audit_pb2_grpc, "AuditService").TailEntries(
        audit_pb2.TailEntriesRequest(after=entries[-1].seq), metadata=service.metadata("aud")
    )
    (verdict,) = await shim.ask(an_ask(30, "DELETE", token=service.agent))
    entry = (await asyncio.wait_for(tail.read(), 30)).entry
    assert (entry.seq, entry.decision_id, entry.effect) == (entries[-1].seq + 1, verdict.decision_id, "deny")
    tail.cancel()
    newest = await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(newest=True, page_size=1), "aud")
    assert [one.seq for one in newest.entries] == [entry.seq] and newest.more
    nothing = await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(after=2**64 - 1), "aud")
    assert len(nothing.entries) == 0


def _batch(*numbers: int) -> recording_pb2.RecordRequest:
    frames = [
        recording_pb2.Frame(seq=number, call_id="c" * 32, kind=recording_pb2.FRAME_KIND_REQUEST, start="GET /")
        for number in numbers
    ]
    return recording_pb2.RecordRequest(run_id="a" * 32, frames=frames)


async def test_a_recording_is_acknowledged_and_a_resent_batch_is_stored_once(service: Service) -> None:
    """Also over another stream, as after a broken one; a gap is refused."""
    stub = service.stub(recording_pb2_grpc, "RecordingService")
    first = stub.Record(metadata=service.metadata(service.shim_token))
    await first.write(_batch(1, 2, 3))
    assert (await first.read()).acknowledged == 3
    first.cancel()
    second = stub.Record(metadata=service.metadata(service.shim_token))
    await second.write(_batch(1, 2, 3))
    assert (await second.read()).acknowledged == 3
    await second.write(_batch(3, 4))
    assert (await second.read()).acknowledged == 4
    await second.write(_batch(6))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await second.read()
    assert reason_of(refused.value) == "FRAME_GAP"


async def test_of_many_calls_that_race_for_one_grant_one_passes(service: Service) -> None:
    """From two shims, on two streams; the others are pending again."""
    one, two = await service.shim(), await service.shim(await service.enrol("two"))
    agent = service.agent
    (pending,) = await one.ask(refund(1, token=agent))
    await one.write(cancelled=(1,))
    await _approve(service, pending.approval.name)
    asked = [refund(number, token=agent) for number in range(10, 20)]
    answers = [*await asyncio.gather(one.ask(*asked[:5]), two.ask(*asked[5:]))]
    outcomes = [verdict.outcome for verdicts in answers for verdict in verdicts]
    assert outcomes.count(decision_pb2.OUTCOME_ALLOW) == 1
    assert outcomes.count(decision_pb2.OUTCOME_PENDING) == 9


async def test_an_approval_survives_a_restart_of_the_service(tmp_path: Path, database_url: str) -> None:
    """Asked before, approved after, used by the same request sent again: nothing is kept in memory alone."""
    async with running_service(tmp_path, database_url) as service:
        await service.prepare()
        token = service.shim_token
        (pending,) = await (await service.shim()).ask(refund(1, token=service.agent))
    async with running_service(tmp_path, database_url) as service:
        await _approve(service, pending.approval.name)
    async with running_service(tmp_path, database_url) as service:
        shim = await service.shim(token)
        (verdict,) = await shim.ask(refund(2, token=service.agent))
        assert verdict.outcome == decision_pb2.OUTCOME_ALLOW
        (spent,) = await shim.ask(refund(3, token=service.agent))
        assert spent.outcome == decision_pb2.OUTCOME_PENDING


async def test_an_issued_token_opens_what_its_groups_say(tmp_path: Path, database_url: str) -> None:
    """Where the service issues tokens."""
    request = token_pb2.IssueTokenRequest(subject="new", groups=["auditors"], ttl_s=60)
    async with running_service(tmp_path, database_url, unsafe_token_service=True) as service:
        issued = await service.call("Token.IssueToken", request, "root")
        assert await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(), issued.token)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.call("Policy.ShowPolicy", policy_pb2.ShowPolicyRequest(), issued.token)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_no_token_is_issued_unless_the_configuration_says_so(service: Service) -> None:
    """Not even to an admin: whoever gets one could be anybody."""
    request = token_pb2.IssueTokenRequest(subject="new", groups=["auditors"], ttl_s=60)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await service.call("Token.IssueToken", request, "root")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_unforeseen_error_tells_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the wire: neither message nor details hold its text."""
    planted = "plan" + "ted-secret"

    async def page(*_: object) -> None:
        raise RuntimeError(planted)

    monkeypatch.setattr(Reviews, "page", page)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await service.call("Approver.ListApprovals", approver_pb2.ListApprovalsRequest(), "grace")
    error = refused.value
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
    assert planted not in repr((error.initial_metadata(), error.trailing_metadata(), error.debug_error_string()))

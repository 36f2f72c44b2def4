"""Item 8: going around the shim to the service itself, with all that an agent has; each is one call of the contract."""

import grpc
import grpc.aio

from integration.service import Service
from penstock.v1 import (
    approver_pb2,
    audit_pb2,
    decision_pb2,
    decision_pb2_grpc,
    policy_pb2,
    recording_pb2_grpc,
    secret_pb2,
    shim_pb2,
)

__all__ = ["DOORS", "knock"]

_CALLS = {
    "Policy.ApplyPolicy": policy_pb2.ApplyPolicyRequest(document="rules: [{name: all, effect: allow}]\n"),
    "Policy.ShowPolicy": policy_pb2.ShowPolicyRequest(),
    "Secret.PutSecret": secret_pb2.PutSecretRequest(name="bypass-key", value=b"mine-mine-mine", hosts=["evil.example"]),
    "Secret.ListSecrets": secret_pb2.ListSecretsRequest(),
    "Shim.EnrolShim": shim_pb2.EnrolShimRequest(name="mine", upstreams=["*"], groups=["*"]),
    "Audit.ListEntries": audit_pb2.ListEntriesRequest(),
    "Approver.Approve": approver_pb2.ApproveRequest(name="apr_1"),
    "Decision.Decide": decision_pb2.DecideRequest(),
}
DOORS = [*_CALLS, "Decision.DecideStream", "Recording.Record"]


async def knock(service: Service, door: str, token: str) -> grpc.aio.AioRpcError:
    """Calls the service with a token, or with none if it is ""; returns its refusal, fails if there is none."""
    try:
        if door in _CALLS:
            await service.call(door, _CALLS[door], token or "none")
        elif door == "Decision.DecideStream":
            await service.stub(decision_pb2_grpc, "DecisionService").DecideStream(metadata=_metadata(token)).read()
        else:
            await service.stub(recording_pb2_grpc, "RecordingService").Record(metadata=_metadata(token)).read()
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"{door} is open")


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()

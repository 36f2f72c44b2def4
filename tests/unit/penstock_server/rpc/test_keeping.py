"""Tests of SecretService, ShimService and TokenService: what goes in is never shown again."""

import grpc
import pytest

from penstock.v1 import secret_pb2, shim_pb2, token_pb2
from unit.penstock_server.operations.world import SECRET, World
from unit.penstock_server.rpc.memory_server import AbortedError, MemoryServer

pytestmark = pytest.mark.anyio


async def test_a_secret_is_stored_and_listed_without_its_value(server: MemoryServer, world: World) -> None:
    """Name, version, hosts and time are all that comes back, from every call there is."""
    value = b"fresh" + b"-value-55555"
    request = secret_pb2.PutSecretRequest(name="billing-key", value=value, hosts=["Billing.Example"])
    stored = await server.call("SecretService/PutSecret", request, "sam")
    assert (stored.secret.version, list(stored.secret.hosts)) == (2, ["billing.example"])
    listed = await server.call("SecretService/ListSecrets", secret_pb2.ListSecretsRequest(), "sam")
    assert [one.name for one in listed.secrets] == ["billing-key"]
    sent = stored.SerializeToString() + listed.SerializeToString()
    assert value not in sent and SECRET.encode() not in sent
    assert not any("value" in field.name for field in secret_pb2.Secret.DESCRIPTOR.fields)


async def test_a_secret_that_is_refused_is_not_repeated(server: MemoryServer) -> None:
    """In no part of the status."""
    value = b"fresh" + b"-value-\n"
    with pytest.raises(AbortedError) as refused:
        request = secret_pb2.PutSecretRequest(name="billing-key", value=value, hosts=["a.example"])
        await server.call("SecretService/PutSecret", request, "sam")
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "fresh" not in repr(refused.value.status)


async def test_a_shim_is_enrolled_listed_and_revoked(server: MemoryServer) -> None:
    """Its credential is in the first answer alone."""
    request = shim_pb2.EnrolShimRequest(name="two", upstreams=["billing"], groups=["agents"])
    enrolled = await server.call("ShimService/EnrolShim", request, "root")
    assert enrolled.token.startswith("psh_") and list(enrolled.shim.upstreams) == ["billing"]
    listed = await server.call("ShimService/ListShims", shim_pb2.ListShimsRequest(), "root")
    assert [(one.name, one.revoked_at_ms) for one in listed.shims] == [("one", 0), ("two", 0)]
    revoked = await server.call("ShimService/RevokeShim", shim_pb2.RevokeShimRequest(name="two"), "root")
    assert revoked.shim.revoked_at_ms > 0
    for answer in (listed, revoked):
        assert enrolled.token.encode() not in answer.SerializeToString()


async def test_a_token_is_issued_with_its_end(server: MemoryServer, world: World) -> None:
    """For as long as was asked, or for an hour."""
    request = token_pb2.IssueTokenRequest(subject="bot", groups=["agents"], owner="olga")
    issued = await server.call("TokenService/IssueToken", request, "root")
    assert issued.expires_at_ms == world.clock() + 3600_000
    assert issued.token.count(".") == 2
    with pytest.raises(AbortedError):
        await server.call("TokenService/IssueToken", token_pb2.IssueTokenRequest(subject=""), "root")

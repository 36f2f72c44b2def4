"""SecretService, ShimService and TokenService: what is stored once and never shown again."""

from typing import Any

import grpc.aio

from penstock.v1 import secret_pb2, secret_pb2_grpc, shim_pb2, shim_pb2_grpc, token_pb2, token_pb2_grpc
from penstock_server.operations.enrolment import Enrolment
from penstock_server.operations.secret_keeping import Secrets
from penstock_server.operations.token_issue import Tokens
from penstock_server.rpc.convert import secret_to_pb, shim_to_pb
from penstock_server.rpc.edge import caller

__all__ = ["SecretServicer", "ShimServicer", "TokenServicer"]

Context = grpc.aio.ServicerContext[Any, Any]


class SecretServicer(secret_pb2_grpc.SecretServiceServicer):
    """Serves who keeps the secrets."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def PutSecret(self, request: secret_pb2.PutSecretRequest, context: Context) -> secret_pb2.PutSecretResponse:
        """Stores one secret."""
        row = await self._secrets.put(
            caller(),
            name=request.name,
            value=request.value,
            hosts=tuple(request.hosts),
            use_policy_hosts=request.use_policy_hosts,
        )
        return secret_pb2.PutSecretResponse(secret=secret_to_pb(row))

    async def ListSecrets(
        self, request: secret_pb2.ListSecretsRequest, context: Context
    ) -> secret_pb2.ListSecretsResponse:
        """Lists names, hosts, versions and times."""
        return secret_pb2.ListSecretsResponse(secrets=[secret_to_pb(row) for row in await self._secrets.listed()])


class ShimServicer(shim_pb2_grpc.ShimServiceServicer):
    """Serves admins."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment

    async def EnrolShim(self, request: shim_pb2.EnrolShimRequest, context: Context) -> shim_pb2.EnrolShimResponse:
        """Enrols a shim."""
        row, token = await self._enrolment.enrol(
            caller(), request.name, tuple(request.upstreams), tuple(request.groups)
        )
        return shim_pb2.EnrolShimResponse(shim=shim_to_pb(row), token=token)

    async def ListShims(self, request: shim_pb2.ListShimsRequest, context: Context) -> shim_pb2.ListShimsResponse:
        """Lists shims."""
        return shim_pb2.ListShimsResponse(shims=[shim_to_pb(row) for row in await self._enrolment.listed()])

    async def RevokeShim(self, request: shim_pb2.RevokeShimRequest, context: Context) -> shim_pb2.RevokeShimResponse:
        """Revokes a shim."""
        return shim_pb2.RevokeShimResponse(shim=shim_to_pb(await self._enrolment.revoke(caller(), request.name)))


class TokenServicer(token_pb2_grpc.TokenServiceServicer):
    """Serves admins."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def IssueToken(self, request: token_pb2.IssueTokenRequest, context: Context) -> token_pb2.IssueTokenResponse:
        """Issues one token."""
        token, expires = await self._tokens.issue(
            caller(),
            subject=request.subject,
            groups=tuple(request.groups),
            owner=request.owner,
            ttl_s=request.ttl_s,
        )
        return token_pb2.IssueTokenResponse(token=token, expires_at_ms=expires)

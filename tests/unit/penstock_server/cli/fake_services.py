"""Small fakes of the services that the commands call, on a real gRPC server over a Unix socket."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from click.testing import CliRunner, Result

from penstock.v1 import audit_pb2 as audit
from penstock.v1 import (
    audit_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    secret_pb2,
    secret_pb2_grpc,
    shim_pb2,
    shim_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
)
from penstock_server.cli import cli
from penstock_server.domain.errors import PenstockError
from penstock_server.rpc.status import status_of

__all__ = ["TOKEN", "FakeService", "running"]

TOKEN = "ey" + "J.caller"


@dataclass
class FakeService(
    policy_pb2_grpc.PolicyServiceServicer,
    secret_pb2_grpc.SecretServiceServicer,
    shim_pb2_grpc.ShimServiceServicer,
    token_pb2_grpc.TokenServiceServicer,
    audit_pb2_grpc.AuditServiceServicer,
):
    """Remembers requests and the callers' credentials; answers from its fields, or refuses with `error`."""

    address: str = ""
    error: PenstockError | None = None
    requests: list[Any] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    changes: Sequence[str] = ("+ rule x",)
    warnings: Sequence[str] = ()
    revisions: list[policy_pb2.Revision] = field(default_factory=list)
    document: str = ""
    shims: list[shim_pb2.Shim] = field(default_factory=list)
    secrets: list[secret_pb2.Secret] = field(default_factory=list)
    entries: list[audit.AuditEntry] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str | bytes | None = None, token: str = TOKEN, **env: str) -> Result:
        """Runs one command against this service."""
        environment = {"PENSTOCK_ADDRESS": self.address, "PENSTOCK_TOKEN": token, "PENSTOCK_CA": None, **env}
        return CliRunner(env=environment).invoke(cli, list(arguments), input=stdin)

    def _seen(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.callers.append(dict(context.invocation_metadata()).get("authorization", ""))  # type: ignore[arg-type]  # pairs, whatever the stub says
        if self.error is not None:
            context.abort_with_status(status_of(self.error))

    def ApplyPolicy(self, request: Any, context: Any) -> policy_pb2.ApplyPolicyResponse:
        self._seen(request, context)
        if not request.dry_run:
            number = len(self.revisions) + 1
            self.revisions.append(policy_pb2.Revision(number=number, author="dev-admin", active=True))
            self.document = request.document
        return policy_pb2.ApplyPolicyResponse(
            revision=len(self.revisions), changes=self.changes, warnings=self.warnings
        )

    def ShowPolicy(self, request: Any, context: Any) -> policy_pb2.ShowPolicyResponse:
        self._seen(request, context)
        if not self.revisions:
            context.abort(grpc.StatusCode.NOT_FOUND, "no policy is active")
        return policy_pb2.ShowPolicyResponse(revision=self.revisions[-1], document=self.document)

    def ListRevisions(self, request: Any, context: Any) -> policy_pb2.ListRevisionsResponse:
        self._seen(request, context)
        found = [one for one in reversed(self.revisions) if not request.before or one.number < request.before]
        return policy_pb2.ListRevisionsResponse(revisions=found[: request.page_size])

    def RollbackPolicy(self, request: Any, context: Any) -> policy_pb2.RollbackPolicyResponse:
        self._seen(request, context)
        return policy_pb2.RollbackPolicyResponse(revision=9, changes=self.changes)

    def PutSecret(self, request: Any, context: Any) -> secret_pb2.PutSecretResponse:
        self._seen(request, context)
        hosts = request.hosts or ["from.policy.example"]
        return secret_pb2.PutSecretResponse(secret=secret_pb2.Secret(name=request.name, version=2, hosts=hosts))

    def ListSecrets(self, request: Any, context: Any) -> secret_pb2.ListSecretsResponse:
        self._seen(request, context)
        return secret_pb2.ListSecretsResponse(secrets=self.secrets)

    def EnrolShim(self, request: Any, context: Any) -> shim_pb2.EnrolShimResponse:
        self._seen(request, context)
        shim = shim_pb2.Shim(name=request.name, upstreams=request.upstreams, groups=request.groups, created_at_ms=1)
        self.shims.append(shim)
        return shim_pb2.EnrolShimResponse(shim=shim, token=f"psh_of_{request.name}")

    def ListShims(self, request: Any, context: Any) -> shim_pb2.ListShimsResponse:
        self._seen(request, context)
        return shim_pb2.ListShimsResponse(shims=self.shims)

    def RevokeShim(self, request: Any, context: Any) -> shim_pb2.RevokeShimResponse:
        self._seen(request, context)
        for shim in self.shims:
            if shim.name == request.name:
                shim.revoked_at_ms = 2
        return shim_pb2.RevokeShimResponse(shim=shim_pb2.Shim(name=request.name, revoked_at_ms=2))

    def IssueToken(self, request: Any, context: Any) -> token_pb2.IssueTokenResponse:
        self._seen(request, context)
        return token_pb2.IssueTokenResponse(token=f"token-of-{request.subject}", expires_at_ms=1)

    def ListEntries(self, request: Any, context: Any) -> audit.ListEntriesResponse:
        self._seen(request, context)
        found = [one for one in self.entries if one.seq > request.after and request.kind in ("", one.kind)]
        page = found[-request.page_size :] if request.newest else found[: request.page_size]
        return audit.ListEntriesResponse(entries=page, more=bool(found) and page[-1].seq < found[-1].seq)

    def TailEntries(self, request: Any, context: Any) -> Iterator[audit.TailEntriesResponse]:
        self._seen(request, context)
        for one in self.entries:
            if one.seq > request.after:
                yield audit.TailEntriesResponse(entry=one)
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")  # a real one goes on until the caller hangs up


REGISTRATIONS: Sequence[Callable[[Any, grpc.Server], None]] = (
    policy_pb2_grpc.add_PolicyServiceServicer_to_server,
    secret_pb2_grpc.add_SecretServiceServicer_to_server,
    shim_pb2_grpc.add_ShimServiceServicer_to_server,
    token_pb2_grpc.add_TokenServiceServicer_to_server,
    audit_pb2_grpc.add_AuditServiceServicer_to_server,
)


@contextmanager
def running(services: Sequence[Callable[[Any, grpc.Server], None]] = REGISTRATIONS) -> Iterator[FakeService]:
    """Serves a fake over a Unix socket in a folder of its own (a socket's path must be short)."""
    with tempfile.TemporaryDirectory(prefix="pst-") as folder:
        fake = FakeService(address=f"unix:{Path(folder) / 's.sock'}")
        server = grpc.server(ThreadPoolExecutor(2))
        for register in services:
            register(fake, server)
        server.add_insecure_port(fake.address)
        server.start()
        try:
            yield fake
        finally:
            server.stop(None).wait()

"""The outermost interceptor: who calls, may it call this service, and what may it be told when something fails."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal, Role, roles_of
from penstock_server.operations.enrolment import Enrolment
from penstock_server.operations.environment import Clock, TokenVerifier
from penstock_server.operations.interfaces import ShimRow
from penstock_server.rpc.status import status_of

__all__ = ["OPEN_SERVICES", "SERVICE_ROLES", "Edge", "caller", "calling_shim"]

log = logging.getLogger(__name__)

SERVICE_ROLES = {
    "penstock.v1.DecisionService": Role.SHIM,
    "penstock.v1.RecordingService": Role.SHIM,
    "penstock.v1.ApprovalService": Role.AGENT,
    "penstock.v1.ApproverService": Role.APPROVER,
    "penstock.v1.PolicyService": Role.ADMIN,
    "penstock.v1.ShimService": Role.ADMIN,
    "penstock.v1.TokenService": Role.ADMIN,
    "penstock.v1.SecretService": Role.SECRETS,
    "penstock.v1.AuditService": Role.AUDITOR,
}
"""The one role that opens each service (section 6 of the architecture); a service that is not here is closed."""

OPEN_SERVICES = frozenset({"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"})
"""Services that need no credential: they tell nothing but that and what the server is."""

_PRINCIPAL: ContextVar[Principal] = ContextVar("penstock_principal")
_SHIM: ContextVar[ShimRow] = ContextVar("penstock_shim")

Behaviour = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]


def caller() -> Principal:
    """Returns the principal that makes the call under way."""
    return _PRINCIPAL.get()


def calling_shim() -> ShimRow:
    """Returns the shim that makes the call under way."""
    return _SHIM.get()


class Edge(grpc.aio.ServerInterceptor):
    """Authenticates each call, checks its role, and turns every error into a status that tells nothing secret."""

    def __init__(
        self,
        verifier: TokenVerifier,
        enrolment: Enrolment,
        role_groups: dict[Role, frozenset[str]],
        clock: Clock,
    ) -> None:
        self._verifier = verifier
        self._enrolment = enrolment
        self._role_groups = role_groups
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the handler, wrapped; an unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        service = handler_call_details.method.rpartition("/")[0].lstrip("/")
        if handler.response_streaming:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            wrapped: Any = self._streaming(service, behaviour)
        else:
            if handler.request_streaming:
                return None
            behaviour, make = handler.unary_unary, grpc.unary_unary_rpc_method_handler
            wrapped = self._unary(service, behaviour)
        return make(wrapped, handler.request_deserializer, handler.response_serializer)

    def _unary(self, service: str, behaviour: Behaviour) -> Behaviour:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                await self._authenticate(service, context)
                return await behaviour(request, context)
            except grpc.aio.AbortError:
                raise  # health says NOT_FOUND this way: the status is set already
            except Exception as error:
                status = self._status(service, error)
            return await context.abort_with_status(status)

        return call

    def _streaming(self, service: str, behaviour: Any) -> Any:
        if not inspect.isasyncgenfunction(behaviour):
            return self._unary(service, behaviour)  # health's Watch: a coroutine that writes to its context

        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                ends = await self._authenticate(service, context)
                async for response in behaviour(request, context):
                    if ends is not None and self._clock() >= ends:
                        raise PenstockError(
                            Code.UNAUTHENTICATED, "TOKEN_EXPIRED", "the token has expired: come back with a new one"
                        )
                    yield response
                return
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                status = self._status(service, error)
            await context.abort_with_status(status)

        return call

    async def _authenticate(self, service: str, context: grpc.aio.ServicerContext[Any, Any]) -> int | None:
        """Notes who calls; returns when that stops to hold, UTC milliseconds, or None if it is not for this class."""
        if service in OPEN_SERVICES:
            return None
        needed = SERVICE_ROLES.get(service)
        if needed is None:
            raise PenstockError(Code.FORBIDDEN, "SERVICE_CLOSED", f"{service} is open to nobody")
        token = _token(context)
        if needed is Role.SHIM:
            _SHIM.set(await self._enrolment.authenticate(token))
            return None  # a revocation cuts its streams
        principal = self._verifier.verify(token, self._clock())
        if needed not in roles_of(principal, self._role_groups):
            raise PenstockError(
                Code.FORBIDDEN,
                "ROLE_MISSING",
                f"this needs the role {needed.value}, which this token does not give: use one with that role "
                "(penstock-server takes it from --dev DIR)",
            )
        _PRINCIPAL.set(principal)
        return principal.expires_at_ms

    @staticmethod
    def _status(service: str, error: Exception) -> grpc.Status:
        if not isinstance(error, PenstockError):
            # The text and arguments of an unforeseen error may hold anything: only its type and place are logged.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
            log.error("%s failed: %s at %s", service, type(error).__name__, where)
        return status_of(error)


def _token(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Returns the bearer token of the call's metadata; raises UNAUTHENTICATED if there is none, or more than one."""
    found = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
    if len(found) == 1 and isinstance(found[0], str) and found[0][:7].lower() == "bearer ":
        return found[0][7:]
    raise PenstockError(
        Code.UNAUTHENTICATED, "TOKEN_MISSING", "send one 'authorization: Bearer TOKEN': set PENSTOCK_TOKEN or --token"
    )

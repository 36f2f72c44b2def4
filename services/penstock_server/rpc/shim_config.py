"""Makes what a shim needs to serve its upstreams, and pushes it anew when the active state changes."""

from collections.abc import Awaitable, Callable

from penstock.v1 import decision_pb2
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import Active, ActiveState
from penstock_server.operations.interfaces import ShimRow, ShimStore

__all__ = ["ShimConfigs"]


class ShimConfigs:
    """Knows each shim's configuration of now."""

    def __init__(self, active: ActiveState, shims: ShimStore) -> None:
        self._active = active
        self._shims = shims

    @property
    def epoch(self) -> int:
        """Returns the epoch of now."""
        return self._active.current.snapshot.epoch

    def listen(self, callback: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Calls back when configurations may have changed; returns what ends that."""
        return self._active.listen(callback)

    async def for_shim(self, token_hash: bytes) -> decision_pb2.DecideStreamResponse:
        """Returns the configuration message. Raises UNAUTHENTICATED if the shim is not enrolled any more."""
        shim = await self._shims.by_token_hash(token_hash)
        active = self._active.current  # read last: of two calls under way, the later answer is never the older state
        if shim is None or shim.revoked_at_ms is not None:
            raise PenstockError(
                Code.UNAUTHENTICATED, "SHIM_REVOKED", "this shim was revoked: enrol one of another name"
            )
        return decision_pb2.DecideStreamResponse(config=_config(active, shim), epoch=active.snapshot.epoch)


def _config(active: Active, shim: ShimRow) -> decision_pb2.ShimConfig:
    config = decision_pb2.ShimConfig(policy_revision=active.snapshot.revision)
    for upstream in active.snapshot.policy.upstreams:
        if "*" not in shim.upstreams and upstream.name not in shim.upstreams:
            continue
        message = config.upstreams.add(
            name=upstream.name,
            url=upstream.url,
            mount=upstream.mount,
            dialect=upstream.dialect.value,
            token_from=upstream.token_from,
            private_addresses=upstream.private_addresses,
            hosts=upstream.hosts,
        )
        name = upstream.credential.secret if upstream.credential else ""
        for secret in (active.secrets.get(name), active.former.get(name)):
            if secret is not None:
                message.known_values.add(name=secret.name, value=secret.value)
    return config

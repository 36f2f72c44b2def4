"""The active state: policy snapshot, opened secrets and their redactor, swapped by one assignment at each epoch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from penstock_server.domain.policy import Policy
from penstock_server.domain.snapshot import Snapshot
from penstock_server.operations.answers import CredentialGiven
from penstock_server.operations.environment import PolicyCompiler, Secret, Vault
from penstock_server.operations.interfaces import PolicyStore, SecretStore, ShimStore
from penstock_server.operations.redaction import Redactor

__all__ = ["Active", "ActiveState"]


@dataclass(frozen=True, slots=True)
class Active:
    """Holds all that decisions are made from, as of one epoch. revoked: names of shims that may not ask any more.

    given: credentials by upstream, formatted when they are first needed.
    """

    snapshot: Snapshot
    secrets: dict[str, Secret]
    redactor: Redactor
    revoked: frozenset[str] = frozenset()
    given: dict[str, CredentialGiven] = field(default_factory=dict, repr=False)


class ActiveState:
    """Keeps `current` and replaces it when the epoch has moved; then tells those who listen."""

    def __init__(
        self, policies: PolicyStore, secrets: SecretStore, shims: ShimStore, vault: Vault, compiler: PolicyCompiler
    ) -> None:
        self._policies = policies
        self._secrets = secrets
        self._shims = shims
        self._vault = vault
        self._compiler = compiler
        self._loading = asyncio.Lock()
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self.current = Active(Snapshot(Policy(), 0, 0), {}, Redactor(()))

    def listen(self, callback: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Calls back after each replacement; returns what ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def reload(self, at_least: int = 0) -> Active:
        """Loads until the state is of epoch `at_least` or later (0: load once in any case), and returns it.

        Raises UNAVAILABLE if the database or a secret cannot be read; the former state then stays, and with it its
        epoch, so that no decision of an older epoch can be given out.
        """
        async with self._loading:
            if at_least and self.current.snapshot.epoch >= at_least:
                return self.current
            row, epoch = await self._policies.active()
            policy = self._compiler(row.document).policy if row else Policy()
            opened = [self._vault.open(secret) for secret in await self._secrets.all()]
            revoked = frozenset(shim.name for shim in await self._shims.all() if shim.revoked_at_ms is not None)
            snapshot = Snapshot(policy, row.number if row else 0, epoch)
            secrets = {secret.name: secret for secret in opened}
            self.current = Active(snapshot, secrets, Redactor(tuple((s.name, s.value) for s in opened)), revoked)
        for callback in list(self._listeners):
            await callback()
        return self.current

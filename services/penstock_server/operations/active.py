"""The active state: policy snapshot, opened secrets and their redactor, swapped by one assignment at each epoch."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from penstock_server.domain.errors import PenstockError
from penstock_server.domain.policy import Policy
from penstock_server.domain.snapshot import Snapshot
from penstock_server.operations.answers import CredentialGiven
from penstock_server.operations.environment import PolicyCompiler, Secret, Vault
from penstock_server.operations.interfaces import PolicyStore, SecretRow, SecretStore, ShimStore
from penstock_server.operations.redaction import Redactor

__all__ = ["Active", "ActiveState"]

KNOWN_VERSIONS = 2
"""Newest versions of a secret that are masked: who rotates a key lets the former one live on for a while."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Active:
    """Holds all that decisions are made from, as of one epoch. revoked: names of shims that may not ask any more.

    former: of each secret the version before the newest; it may still be valid, so it is masked like the newest.
    unreadable: names of secrets that this service's key does not open. given: credentials by upstream, formatted when
    they are first needed.
    """

    snapshot: Snapshot
    secrets: dict[str, Secret]
    redactor: Redactor
    former: dict[str, Secret] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
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
        self._told: set[tuple[str, int]] = set()
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self.current = Active(Snapshot(Policy(), 0, 0), {}, Redactor(()))

    def listen(self, callback: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Calls back after each replacement; returns what ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def reload(self, at_least: int = 0) -> Active:
        """Loads until the state is of epoch `at_least` or later (0: load once in any case), and returns it.

        Raises UNAVAILABLE if the database cannot be read; the former state then stays, and with it its epoch, so that
        no decision of an older epoch can be given out. A secret that does not open stops only what uses it.
        """
        async with self._loading:
            if at_least and self.current.snapshot.epoch >= at_least:
                return self.current
            revision, epoch = await self._policies.active()
            policy = self._compiler(revision.document).policy if revision else Policy()
            rows = await self._secrets.all(KNOWN_VERSIONS)
            newest = {row.name: row for row in reversed(rows)}
            secrets = self._opened(newest.values())
            former = self._opened(row for row in rows if row is not newest[row.name])
            revoked = frozenset(shim.name for shim in await self._shims.all() if shim.revoked_at_ms is not None)
            snapshot = Snapshot(policy, revision.number if revision else 0, epoch)
            known = [*secrets.values(), *former.values()]
            redactor = Redactor(tuple((secret.name, secret.value) for secret in known))
            unreadable = frozenset(newest.keys() - secrets.keys())
            self.current = Active(snapshot, secrets, redactor, former, unreadable, revoked)
        for callback in list(self._listeners):
            await callback()
        return self.current

    def _opened(self, rows: Iterable[SecretRow]) -> dict[str, Secret]:
        """Returns the secrets that open, by name; logs the others, each once."""
        opened = {}
        for row in rows:
            try:
                opened[row.name] = self._vault.open(row)
            except PenstockError as error:
                if (row.name, row.version) not in self._told:
                    self._told.add((row.name, row.version))
                    _log.error("%s", error.message)
        return opened

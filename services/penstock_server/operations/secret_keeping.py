"""Takes secrets in and lists their names; nothing here gives a value out."""

import re

from penstock._core.describe import authority_of
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.policy import SECRET_NAME, SECRET_NAME_RULE
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Clock, Vault
from penstock_server.operations.interfaces import SecretRow, SecretStore
from penstock_server.operations.journal import Journal

__all__ = ["Secrets"]

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)(:[0-9]{1,5})?")
MIN_BYTES = 8
"""Shortest secret in bytes: a shorter one cannot be masked without masking half of every text."""
MAX_BYTES = 65536
"""Longest secret in bytes."""


class Secrets:
    """Keeps secrets. hosts_from_policy: whether a caller may let the policy say the hosts (dev only)."""

    def __init__(
        self,
        store: SecretStore,
        active: ActiveState,
        vault: Vault,
        journal: Journal,
        clock: Clock,
        *,
        hosts_from_policy: bool,
    ) -> None:
        self._store = store
        self._active = active
        self._vault = vault
        self._journal = journal
        self._clock = clock
        self._hosts_from_policy = hosts_from_policy

    async def put(
        self, caller: Principal, *, name: str, value: bytes, hosts: tuple[str, ...], use_policy_hosts: bool
    ) -> SecretRow:
        """Stores a new version and makes it the one in use. Raises INVALID, CONFLICT."""
        if not SECRET_NAME.fullmatch(name):
            raise _invalid("SECRET_NAME", f"a secret's name must be {SECRET_NAME_RULE}")
        if not MIN_BYTES <= len(value) <= MAX_BYTES:
            raise _invalid(
                "SECRET_SIZE", f"a secret has {MIN_BYTES} to {MAX_BYTES} bytes: shorter ones cannot be masked"
            )
        if any(byte < 0x20 or byte == 0x7F for byte in value):
            raise _invalid("SECRET_VALUE", "a secret that goes into a header has no line end or control character")
        if use_policy_hosts and not hosts:
            hosts = self._policy_hosts(name)
        hosts = tuple(dict.fromkeys(host.lower() for host in hosts))
        if not hosts:
            raise _invalid("SECRET_HOSTS", "say which hosts the secret may be sent to: --host api.example.com")
        for host in hosts:
            if not HOST.fullmatch(host):
                raise _invalid("SECRET_HOSTS", f"{host[:80]!r} is not a host or host:port: write api.example.com")
        version = await self._store.next_version(name)
        row = self._vault.seal(name=name, version=version, hosts=hosts, value=value, now_ms=self._clock())
        async with self._journal.doing(
            "secret.put", "secret.stored", caller, details={"secret": name, "version": version, "hosts": list(hosts)}
        ):
            epoch = await self._store.put(row)
        await self._active.reload(epoch)
        return row

    async def listed(self) -> list[SecretRow]:
        """Returns the newest version of every secret, encrypted."""
        return await self._store.all()

    def _policy_hosts(self, name: str) -> tuple[str, ...]:
        if not self._hosts_from_policy:
            raise _invalid("SECRET_HOSTS", "this service wants the hosts with the secret: --host api.example.com")
        upstreams = self._active.current.snapshot.policy.upstreams
        hosts = {authority_of(u.url) for u in upstreams if u.credential and u.credential.secret == name}
        if not hosts:
            raise _invalid(
                "SECRET_HOSTS", f"no upstream of the active policy uses secret {name}: apply one, or use --host"
            )
        return tuple(sorted(hosts))


def _invalid(reason: str, message: str) -> PenstockError:
    return PenstockError(Code.INVALID, reason, message)

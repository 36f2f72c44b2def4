"""Enrols shims, knows them again by their credential, and revokes them."""

import hashlib
import re
import secrets

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Clock
from penstock_server.operations.interfaces import ShimRow, ShimStore
from penstock_server.operations.journal import Journal

__all__ = ["TOKEN_PREFIX", "Enrolment"]

TOKEN_PREFIX = "psh_"  # noqa: S105 (a prefix, not a credential)
"""Start of every shim's credential, so that people and scanners know what it is."""

TOKEN_BYTES = 32
"""Random bytes in a shim's credential."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Enrolment:
    """Keeps shims; stores only the hashes of their credentials."""

    def __init__(self, store: ShimStore, active: ActiveState, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._active = active
        self._journal = journal
        self._clock = clock

    async def enrol(
        self, caller: Principal, name: str, upstreams: tuple[str, ...], groups: tuple[str, ...]
    ) -> tuple[ShimRow, str]:
        """Returns the new shim with its credential, which is shown this once. Raises INVALID, CONFLICT."""
        if not NAME.fullmatch(name):
            raise _invalid("SHIM_NAME", "a shim's name is a-z, 0-9, dot, dash, underscore, at most 63 characters")
        for what, values in (("upstream", upstreams), ("group", groups)):
            if not values or not all(values) or ("*" in values and len(values) > 1):
                raise _invalid("SHIM_SCOPE", f"name each {what} that the shim may serve, or '*' alone for all")
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        row = ShimRow(name, _hash(token), upstreams, groups, self._clock())
        details = {"shim": name, "upstreams": list(upstreams), "groups": list(groups)}
        async with self._journal.doing("shim.enrol", "shim.enrolled", caller, details=details):
            await self._store.add(row)
        return row, token

    async def authenticate(self, token: str) -> ShimRow:
        """Returns the shim with that credential. Raises UNAUTHENTICATED."""
        row = await self._store.by_token_hash(_hash(token)) if token.startswith(TOKEN_PREFIX) else None
        if row is None or row.revoked_at_ms is not None:
            raise PenstockError(
                Code.UNAUTHENTICATED,
                "SHIM_UNKNOWN",
                "this is not the credential of an enrolled shim: enrol it with `penstock-server shims enrol`",
            )
        return row

    async def listed(self) -> list[ShimRow]:
        """Returns all shims by name."""
        return await self._store.all()

    async def revoke(self, caller: Principal, name: str) -> ShimRow:
        """Revokes a shim; its stream is cut. Raises NOT_FOUND."""
        async with self._journal.doing("shim.revoke", "shim.revoked", caller, details={"shim": name}):
            row = await self._store.revoke(name, self._clock())
        await self._active.reload()
        return row


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _invalid(reason: str, message: str) -> PenstockError:
    return PenstockError(Code.INVALID, reason, message)

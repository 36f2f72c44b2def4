"""Enrolled shims over SQL."""

import json
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import ShimRow
from penstock_server.store.engine import Database
from penstock_server.store.policies import bump_epoch
from penstock_server.store.tables import SHIM

__all__ = ["SqlShimStore"]


class SqlShimStore:
    """Implements ShimStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: ShimRow) -> None:
        """Stores an enrolment. Raises CONFLICT if the name exists."""
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(SHIM).values(
                        name=row.name,
                        token_hash=row.token_hash,
                        upstreams=json.dumps(row.upstreams),
                        groups=json.dumps(row.groups),
                        created_at_ms=row.created_at_ms,
                        revoked_at_ms=row.revoked_at_ms,
                    )
                )
        except IntegrityError:
            raise PenstockError(
                Code.CONFLICT, "SHIM_EXISTS", f"a shim {row.name} is enrolled or was: choose another name"
            ) from None

    async def by_token_hash(self, token_hash: bytes) -> ShimRow | None:
        """Returns the shim with this credential, revoked or not, or None."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*SHIM.c).where(SHIM.c.token_hash == token_hash))).one_or_none()
        return _shim(row) if row is not None else None

    async def all(self) -> list[ShimRow]:
        """Returns all shims by name."""
        async with self._database.read() as connection:
            return [_shim(row) for row in (await connection.execute(select(*SHIM.c).order_by(SHIM.c.name))).all()]

    async def revoke(self, name: str, at_ms: int) -> ShimRow:
        """Revokes and bumps the epoch; revoking twice keeps the first time. Raises NOT_FOUND."""
        async with self._database.write() as connection:
            await connection.execute(
                update(SHIM).where(SHIM.c.name == name, SHIM.c.revoked_at_ms.is_(None)).values(revoked_at_ms=at_ms)
            )
            row = (await connection.execute(select(*SHIM.c).where(SHIM.c.name == name))).one_or_none()
            if row is None:
                raise PenstockError(
                    Code.NOT_FOUND, "SHIM_NOT_FOUND", f"no shim {name!r}: see `penstock-server shims list`"
                )
            await bump_epoch(connection)
        return _shim(row)


def _shim(row: Any) -> ShimRow:
    return ShimRow(
        name=row.name,
        token_hash=row.token_hash,
        upstreams=tuple(json.loads(row.upstreams)),
        groups=tuple(json.loads(row.groups)),
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )

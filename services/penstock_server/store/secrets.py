"""Encrypted secrets over SQL; values never reach this room."""

import json
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.interfaces import SecretRow
from penstock_server.store.engine import Database
from penstock_server.store.policies import bump_epoch
from penstock_server.store.tables import SECRET_VERSION

__all__ = ["SqlSecretStore"]


class SqlSecretStore:
    """Implements SecretStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_version(self, name: str) -> int:
        """Returns the number that the next version will have."""
        query = select(func.max(SECRET_VERSION.c.version)).where(SECRET_VERSION.c.name == name)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one() or 0) + 1

    async def put(self, row: SecretRow) -> int:
        """Stores a version and bumps the epoch; returns the new epoch. Raises CONFLICT if that version exists."""
        values = {"ciphertext": row.ciphertext, "wrapped_key": row.wrapped_key, "kek_id": row.kek_id}
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(SECRET_VERSION).values(
                        name=row.name,
                        version=row.version,
                        hosts=json.dumps(row.hosts),
                        created_at_ms=row.created_at_ms,
                        **values,
                    )
                )
                return await bump_epoch(connection)
        except IntegrityError:
            raise PenstockError(
                Code.CONFLICT, "SECRET_CHANGED", f"secret {row.name} was put by somebody else meanwhile: try again"
            ) from None

    async def all(self, versions: int = 1) -> list[SecretRow]:
        """Returns the newest versions of every secret, that many of each, by name, newest first."""
        columns = SECRET_VERSION.c
        age = func.row_number().over(partition_by=columns.name, order_by=columns.version.desc()).label("age")
        numbered = select(*columns, age).subquery()
        query = (
            select(*(numbered.c[column.name] for column in columns))
            .where(numbered.c.age <= versions)
            .order_by(numbered.c.name, numbered.c.age)
        )
        async with self._database.read() as connection:
            return [_secret(row) for row in (await connection.execute(query)).all()]


def _secret(row: Any) -> SecretRow:
    return SecretRow(
        name=row.name,
        version=row.version,
        hosts=tuple(json.loads(row.hosts)),
        ciphertext=row.ciphertext,
        wrapped_key=row.wrapped_key,
        kek_id=row.kek_id,
        created_at_ms=row.created_at_ms,
    )

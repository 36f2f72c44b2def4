"""The columns that queries name are those that the migrations make."""

import pytest
from sqlalchemy import Connection, inspect, types

from penstock_server.store import Store
from penstock_server.store.tables import TABLES

pytestmark = pytest.mark.anyio

UNUSED = {"access_lock", "outbox", "request_transition", "alembic_version"}
"""Tables that no query names yet: two for later, one that constraints point at, and the migrations' own."""

KINDS = (types.Boolean, types.BigInteger, types.Text, types.LargeBinary)


def _kind(column: types.TypeEngine[object]) -> str:
    """Returns the kind of a type under one name on both databases."""
    return next((kind.__name__ for kind in KINDS if isinstance(column, kind)), repr(column))


def _columns(connection: Connection) -> dict[str, dict[str, str]]:
    inspector = inspect(connection)
    return {
        table: {column["name"]: _kind(column["type"]) for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }


async def test_tables_and_migrations_agree(store: Store) -> None:
    """Every table, every column and every type, on both databases."""
    async with store._database.read() as connection:
        found = await connection.run_sync(_columns)
    known = {
        table.name: {column.name: _kind(column.type) for column in table.columns} for table in TABLES.sorted_tables
    }
    assert found.keys() - UNUSED == known.keys()
    assert {name: found[name] for name in known} == known


async def test_both_databases_get_the_same_constraints(store: Store) -> None:
    """Named ones carry the safety; none may be lost on either database."""

    def names(connection: Connection) -> set[str]:
        inspector = inspect(connection)
        found = set()
        for table in inspector.get_table_names():
            found |= {str(check["name"]) for check in inspector.get_check_constraints(table)}
            found |= {str(unique["name"]) for unique in inspector.get_unique_constraints(table)}
            found |= {str(key["name"]) for key in inspector.get_foreign_keys(table)}
            found |= {str(index["name"]) for index in inspector.get_indexes(table)}
        return found

    async with store._database.read() as connection:
        found = await connection.run_sync(names)
    assert {
        "resolved_once_left",
        "one_pending_request",
        "one_pending_call",
        "state_left_once",
        "legal_transition",
        "review_of_requester",
        "nobody_reviews_own",
        "nobody_reviews_for_an_own_agent",
        "grant_of_approved",
        "grant_of_request",
        "only_approved",
        "uses_not_negative",
        "grant_at_most_30_days",
        "settled_once_left",
        "erased_together",
        "hashes_sha256",
    } <= found

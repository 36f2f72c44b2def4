"""Opens all stores over one database."""

from dataclasses import dataclass, field

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store.approvals import SqlApprovalStore
from penstock_server.store.audit import SqlAuditLog
from penstock_server.store.engine import Database
from penstock_server.store.frames import SqlFrameStore
from penstock_server.store.group_commit import GroupCommit, Writer
from penstock_server.store.migration import at_head
from penstock_server.store.policies import SqlPolicyStore
from penstock_server.store.secrets import SqlSecretStore
from penstock_server.store.shims import SqlShimStore
from penstock_server.store.writers import PostgresWriter, SqliteWriter

__all__ = ["Store", "open_store"]

MAIN_LOG = "main"
"""Name of the log of a service node that was not given another one."""


@dataclass(frozen=True, slots=True)
class Store:
    """Holds one port each; close() when done."""

    audit: SqlAuditLog
    policies: SqlPolicyStore
    approvals: SqlApprovalStore
    secrets: SqlSecretStore
    shims: SqlShimStore
    frames: SqlFrameStore
    _database: Database = field(repr=False)
    _commit: GroupCommit = field(repr=False)

    @property
    def failing(self) -> bool:
        """Tells whether the log could not be written when it was last tried."""
        return self._commit.failing

    async def close(self) -> None:
        """Writes what is queued, then closes every connection."""
        await self._commit.close()
        await self._database.close()


async def open_store(url: str, log: str = MAIN_LOG) -> Store:
    """Returns the stores of the database. log: names the audit log that this process, and no other, appends to.

    Raises UNAVAILABLE, and WRONG_STATE if the database is not at the newest schema.
    """
    database = Database(url)
    try:
        if not await at_head(database):
            raise PenstockError(
                Code.WRONG_STATE,
                "SCHEMA_OLD",
                "the database is not at this release's schema: run `penstock-server migrate` with its URL first",
            )
    except BaseException:
        await database.close()
        raise
    writer: Writer = SqliteWriter(url) if database.sqlite else PostgresWriter(database)
    commit = GroupCommit(writer, log)
    return Store(
        audit=SqlAuditLog(database, commit),
        policies=SqlPolicyStore(database),
        approvals=SqlApprovalStore(database),
        secrets=SqlSecretStore(database),
        shims=SqlShimStore(database),
        frames=SqlFrameStore(database, commit),
        _database=database,
        _commit=commit,
    )

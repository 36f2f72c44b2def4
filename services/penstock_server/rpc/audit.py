"""AuditService: reads the log."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from penstock.v1 import audit_pb2, audit_pb2_grpc
from penstock_server.operations.interfaces import AuditReader
from penstock_server.rpc.convert import entry_to_pb, number_from_pb

__all__ = ["AuditServicer"]

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE = 100
MAX_PAGE = 1000
TAIL_WAIT_S = 1.0
"""How often a tail looks although nothing rang, seconds: other processes may write to the log."""


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Serves auditors."""

    def __init__(self, log: AuditReader) -> None:
        self._log = log

    async def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: Context
    ) -> audit_pb2.ListEntriesResponse:
        """Lists entries in ascending order."""
        limit = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
        found = await self._log.entries(
            after=number_from_pb(request.after),
            limit=limit + 1,
            kind=request.kind,
            call_id=request.call_id,
            newest=request.newest,
        )
        more = len(found) > limit
        page = found[-limit:] if request.newest else found[:limit]
        return audit_pb2.ListEntriesResponse(entries=[entry_to_pb(entry) for entry in page], more=more)

    async def TailEntries(
        self, request: audit_pb2.TailEntriesRequest, context: Context
    ) -> AsyncIterator[audit_pb2.TailEntriesResponse]:
        """Sends entries, then new ones, until the caller hangs up."""
        after = number_from_pb(request.after)
        while True:
            for entry in await self._log.entries(after=after, limit=MAX_PAGE):
                after = entry.seq
                yield audit_pb2.TailEntriesResponse(entry=entry_to_pb(entry))
            await self._log.wait(after, TAIL_WAIT_S)

"""RecordingService: frames in, acknowledgements out, each after its commit."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from penstock.v1 import recording_pb2, recording_pb2_grpc
from penstock_server.operations.recording import Recordings
from penstock_server.rpc.edge import calling_shim
from penstock_server.rpc.sent_frames import PbFrames

__all__ = ["RecordingServicer"]


class RecordingServicer(recording_pb2_grpc.RecordingServiceServicer):
    """Serves shims."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    async def Record(
        self,
        request_iterator: AsyncIterator[recording_pb2.RecordRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[recording_pb2.RecordResponse]:
        """Stores batches in order until the shim hangs up."""
        self._recordings.begin(calling_shim())
        async for request in request_iterator:
            acknowledged = await self._recordings.take(calling_shim(), request.run_id, PbFrames.read(request))
            yield recording_pb2.RecordResponse(acknowledged=acknowledged)

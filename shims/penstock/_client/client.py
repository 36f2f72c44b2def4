"""Puts the decision stream and the recording stream on one channel to the policy service."""

import asyncio
import logging
from pathlib import Path
from typing import Any, TypeAlias

import grpc.aio

from penstock._client.channel import bearer, open_channel
from penstock._client.decider import StreamDecider
from penstock._client.recorder import StreamRecorder
from penstock.v1 import decision_pb2, recording_pb2

__all__ = ["Client", "open_client"]

FLUSH_S = 5.0
"""Longest wait at the end for the acknowledgement of what is recorded, seconds; half of what a supervisor gives."""

_Opener: TypeAlias = "grpc.aio.StreamStreamMultiCallable[Any, Any]"
_log = logging.getLogger(__name__)


class Client:
    """Keeps both streams open between start and close; `decider` and `recorder` are the ports of the data path."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._channel = channel
        decide: _Opener = channel.stream_stream(
            "/penstock.v1.DecisionService/DecideStream",
            response_deserializer=decision_pb2.DecideStreamResponse.FromString,
        )
        record: _Opener = channel.stream_stream(
            "/penstock.v1.RecordingService/Record",
            response_deserializer=recording_pb2.RecordResponse.FromString,
        )
        self.decider = StreamDecider(lambda: decide(metadata=metadata))
        self.recorder = StreamRecorder(lambda: record(metadata=metadata))
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to connect and returns at once; Decider.on_config says when the service has answered."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self.decider.run()), asyncio.create_task(self.recorder.run())]

    async def close(self, flush_s: float = FLUSH_S) -> None:
        """Waits at most flush_s seconds for acknowledgements, then ends both streams; what waits is UNAVAILABLE."""
        if self._tasks and not await self.recorder.flush(flush_s):
            _log.error("%d recorded frames were not acknowledged and are lost", self.recorder.unacknowledged())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._channel.close()


def open_client(address: str, token: str, ca: Path | None = None) -> Client:
    """Makes a client of the service at `address` ("unix:/path" or "HOST:PORT"); call it on a running loop.

    token: the shim's enrolment token. ca: PEM file of the authority of the service's certificate, the system's if None;
    off loopback there is always TLS. Raises ValueError or OSError that says what is wrong with them.
    """
    metadata = bearer(token)
    return Client(open_channel(address, ca), metadata)

"""What waits to be written on one decision stream: all that queued during the former write goes as one message.

A verdict of an epoch that has passed while it waited is not sent: its question is given back, to be decided again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from penstock.v1 import decision_pb2
from penstock_server.operations.answers import Question

__all__ = ["Outbox"]


class Outbox:
    """Collects one stream's messages in order. on_stale takes the questions whose verdicts came too late."""

    def __init__(self, on_stale: Callable[[list[Question]], None]) -> None:
        self._on_stale = on_stale
        self._config: decision_pb2.DecideStreamResponse | None = None
        self._verdicts: list[tuple[decision_pb2.Verdict, Question]] = []
        self._epoch = 0
        self._beat = False
        self._ended = False
        self._error: BaseException | None = None
        self._something = asyncio.Event()

    def config(self, response: decision_pb2.DecideStreamResponse) -> None:
        """Queues a configuration; it replaces one that is still queued."""
        self._config = response
        self._epoch = max(self._epoch, response.epoch)
        self._something.set()

    def verdict(self, verdict: decision_pb2.Verdict, question: Question) -> None:
        """Queues the verdict on a question."""
        self._verdicts.append((verdict, question))
        self._epoch = max(self._epoch, verdict.epoch)
        self._something.set()

    def beat(self, epoch: int) -> None:
        """Queues a sign of life; whatever else is queued serves for one."""
        self._beat = True
        self._epoch = max(self._epoch, epoch)
        self._something.set()

    def end(self) -> None:
        """Ends the stream after what is queued."""
        self._ended = True
        self._something.set()

    def fail(self, error: BaseException | None) -> None:
        """Ends the stream at once with that error."""
        self._error = self._error or error
        self._something.set()

    async def messages(self) -> AsyncIterator[decision_pb2.DecideStreamResponse]:
        """Yields messages until the end; raises the error of `fail`."""
        while True:
            await self._something.wait()
            self._something.clear()
            if self._error is not None:
                raise self._error
            config, self._config = self._config, None
            verdicts, self._verdicts = self._verdicts, []
            fresh = [verdict for verdict, _ in verdicts if verdict.epoch >= self._epoch]
            if len(fresh) < len(verdicts):
                self._on_stale([question for verdict, question in verdicts if verdict.epoch < self._epoch])
            if config is not None or fresh or self._beat:
                self._beat = False
                yield decision_pb2.DecideStreamResponse(
                    config=config.config if config is not None else None, verdicts=fresh, epoch=self._epoch
                )
            if self._ended and not self._verdicts and self._config is None:
                return

"""Ports between the data path (http/) and the service (_client/): the docstring of each method is its contract."""

from collections.abc import Callable
from typing import Protocol

from penstock._core.verdict import Ask, Frame, ShimConfig, Verdict

__all__ = ["Decider", "Recorder"]


class Decider(Protocol):
    """Asks the policy service; all calls happen on the event loop's thread and none blocks."""

    def config(self) -> ShimConfig | None:
        """Returns the configuration pushed last on the live stream; None while not connected: refuse everything."""
        ...

    def on_config(self, callback: Callable[[ShimConfig | None], None]) -> None:
        """Calls back at each new configuration, and with None when the stream is lost."""
        ...

    def ask(self, ask: Ask, deliver: Callable[[Verdict], None]) -> None:
        """Asks once; `deliver` gets exactly one verdict, or PENDING and later one more, unless cancelled.

        UNAVAILABLE comes if no answer comes in time or the stream breaks, also while pending. May call at once.
        """
        ...

    def cancel(self, call_id: str) -> None:
        """Withdraws an ask or a hold: no verdict is delivered after this returns."""
        ...


class Recorder(Protocol):
    """Ships masked frames to the service; bounded, and acknowledged after their commit."""

    def ready(self) -> bool:
        """Returns False while too much is unacknowledged or the stream has been down too long: refuse requests."""
        ...

    def put(self, frame: Frame) -> None:
        """Queues one frame, which must be masked already; never blocks, never drops."""
        ...

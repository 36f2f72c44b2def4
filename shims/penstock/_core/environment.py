"""Ports between an exchange and the sockets: each method's docstring is its contract. Times are monotonic seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from penstock._core.interfaces import Decider, Recorder
from penstock._core.limits import Limits
from penstock._core.mounts import Route

__all__ = ["Answered", "Environment", "Link", "Links", "Party", "Spool"]


class Party(Protocol):
    """Is the agent's side of one exchange."""

    def write(self, data: bytes) -> None:
        """Queues bytes for the agent; dropped if it has gone."""
        ...

    def pause(self) -> None:
        """Takes no more of the request for now."""
        ...

    def resume(self) -> None:
        """Takes more of the request again; no effect if not paused."""
        ...

    def finished(self, *, keep_alive: bool) -> None:
        """Ends the exchange: all of the answer was written."""
        ...

    def abort(self) -> None:
        """Breaks the connection so that the agent sees that the answer is not complete."""
        ...


class Link(Protocol):
    """Is a connection to an upstream, used by one exchange at a time."""

    def send(self, data: bytes) -> None:
        """Queues bytes for the upstream."""
        ...

    def pause(self) -> None:
        """Takes no more of the answer for now."""
        ...

    def resume(self) -> None:
        """Takes more of the answer again."""
        ...

    def release(self) -> None:
        """Gives the connection back after a complete answer; it is kept if it can serve another one."""
        ...

    def abort(self) -> None:
        """Breaks the connection; no event follows."""
        ...


class Answered(Protocol):
    """Takes what a link reports; an Exchange."""

    def opened(self, link: Link, *, reused: bool) -> None: ...

    def open_failed(self, code: str, reason: str) -> None: ...

    def answer_head(self, status: int, headers: list[tuple[bytes, bytes]], *, http10: bool = False) -> None: ...

    def answer_body(self, data: bytes) -> None: ...

    def answer_flush(self) -> None: ...

    def answer_end(self) -> None: ...

    def link_lost(self) -> None: ...

    def link_slow(self, slow: bool) -> None: ...

    def method(self) -> str: ...


class Links(Protocol):
    """Opens links to upstreams."""

    def open(self, route: Route, taker: Answered, *, fresh: bool = False) -> None:
        """Calls `opened` or `open_failed` once, perhaps at once. fresh: a new connection, not a kept one."""
        ...


class Spool:
    """Counts the bytes of request bodies that wait in memory, over all exchanges of a shim."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Counts bytes in; returns False, and counts nothing, if they are too many."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Counts bytes out."""
        self.used -= size


@dataclass(slots=True)
class Environment:
    """Holds what every exchange of a shim shares. key: of the tokens in recordings of what was not allowed."""

    decider: Decider
    recorder: Recorder
    links: Links
    current: Callable[[str], Route | None]
    """Returns the route of an upstream by the configuration of now."""
    limits: Limits
    spool: Spool
    clock: Callable[[], float]
    now_ms: Callable[[], int]
    new_call_id: Callable[[], str]
    key: bytes = field(repr=False)

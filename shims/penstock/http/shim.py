"""Serves agents: listens, gives every connection what it needs, and follows the service's configuration.

Without the service nothing new is admitted, at once; what is under way is cut when it has been away for CUT_S.
"""

import asyncio
import itertools
import logging
import os
import secrets
import ssl
import time
from collections.abc import Callable

from penstock._core.environment import Environment, Spool
from penstock._core.interfaces import Decider, Recorder
from penstock._core.limits import Limits
from penstock._core.mounts import Mounts, Route
from penstock._core.verdict import ShimConfig
from penstock.http.client_side import ClientConnection
from penstock.http.listener import Listener
from penstock.http.pool import Pool

__all__ = ["HttpShim", "Hub"]

TICK_S = 0.25
"""How often deadlines are looked at, seconds: holds and time-outs are that exact."""
CUT_S = 10.0
"""How long the service may be away before live answers are cut, seconds (architecture, section 4)."""

_log = logging.getLogger(__name__)


class Hub:
    """Holds what all connections share. mounts: of the last configuration, None before the first."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.mounts: Mounts | None = None
        self.draining = False
        self.connections: set[ClientConnection] = set()

    def joined(self, connection: ClientConnection) -> bool:
        """Counts a connection; returns False if there are too many."""
        if len(self.connections) >= self.env.limits.max_connections or self.draining:
            return False
        self.connections.add(connection)
        return True

    def left(self, connection: ClientConnection) -> None:
        """Counts a connection no more."""
        self.connections.discard(connection)


class HttpShim:
    """Serves agents between start and close. upstream_tls: for https upstreams, the system's authorities if None."""

    def __init__(
        self,
        decider: Decider,
        recorder: Recorder,
        limits: Limits | None = None,
        upstream_tls: ssl.SSLContext | None = None,
    ) -> None:
        limits = limits or Limits()
        self._pool = Pool(limits, upstream_tls or ssl.create_default_context(), time.monotonic)
        self._hub = Hub(
            Environment(
                decider=decider,
                recorder=recorder,
                links=self._pool,
                current=self._current,
                limits=limits,
                spool=Spool(limits.max_spooled_bytes),
                clock=time.monotonic,
                now_ms=_now_ms,
                new_call_id=_call_ids(),
                key=secrets.token_bytes(32),
            )
        )
        self._listeners: list[Listener] = []
        self._ticking: asyncio.Task[None] | None = None
        self._away_since: float | None = None
        decider.on_config(self._configure)

    async def start(self, *addresses: str) -> list[str]:
        """Listens on each HOST:PORT or unix:/PATH; returns where, as http://HOST:PORT or unix:/PATH.

        Raises OSError, with the address as its filename, if it cannot; then it listens nowhere.
        """
        for address in addresses:
            try:
                self._listeners.append(await Listener.open(address, lambda: ClientConnection(self._hub)))
            except OSError as error:
                self._unlisten()
                error.filename = address
                raise
        self._pool.own = frozenset(listener.own for listener in self._listeners if listener.own is not None)
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        return [listener.url for listener in self._listeners]

    def _unlisten(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self, drain_s: float) -> None:
        """Takes no more requests, waits at most drain_s seconds for those under way, then breaks them off."""
        self._hub.draining = True
        self._unlisten()
        deadline = time.monotonic() + drain_s
        while time.monotonic() < deadline:
            busy = sum(connection.drain() for connection in list(self._hub.connections))
            if not busy:
                break
            await asyncio.sleep(0.02)
        for connection in list(self._hub.connections):
            connection.cut()
        self._pool.close()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    def _current(self, name: str) -> Route | None:
        mounts = self._hub.mounts
        return mounts.named(name) if mounts is not None else None

    def _configure(self, config: ShimConfig | None) -> None:
        if config is None:
            self._away_since = time.monotonic()
            return
        self._away_since = None
        try:
            self._hub.mounts = Mounts(config)
        except Exception as error:  # whatever it is, the former configuration must not stay in force
            self._hub.mounts = None
            _log.error("the configuration of the policy service cannot be used: %s", type(error).__name__)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            cut = self._away_since is not None and now - self._away_since > CUT_S
            for connection in list(self._hub.connections):
                try:
                    if cut:
                        connection.cut()
                    else:
                        connection.tick(now)
                except Exception as error:
                    _log.error("a connection failed: %s", type(error).__name__)
                    connection.abort()
            self._pool.sweep()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _call_ids() -> Callable[[], str]:
    """Returns what makes call ids: a random half for this run, and a count (random ones cost a system call each)."""
    run, count = os.urandom(8).hex(), itertools.count()
    return lambda: f"{run}{next(count):016x}"

"""Opens connections to upstreams, and keeps them for the next request.

A name is resolved once for each connection; every address that it has is checked, and one of those is connected to.
Names are kept for a few seconds, so that a burst of connections does not become a burst of look-ups.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from penstock._core.addresses import is_permitted
from penstock._core.environment import Answered
from penstock._core.limits import Limits
from penstock._core.mounts import Route
from penstock.http.upstream_side import UpstreamConnection

__all__ = ["Pool"]

MAX_IDLE = 256
"""Connections that are kept for one upstream."""
NAMES_S = 5.0
"""How long the addresses of a name are kept, seconds."""
MAX_NAMES = 1024

_log = logging.getLogger(__name__)

_Key: TypeAlias = tuple[bool, str, int, bool]


class _UnreachableError(Exception):
    """Says why there is no connection: a code, and one line for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class Pool:
    """Implements penstock._core.environment.Links. tls: for https upstreams; verifies always."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext, clock: Callable[[], float]) -> None:
        self.limits = limits
        self._tls = tls
        self._clock = clock
        self._idle: dict[_Key, deque[UpstreamConnection]] = {}
        self._open: set[UpstreamConnection] = set()
        self.own: frozenset[tuple[str, int]] = frozenset()
        """Addresses and ports that agents come to: never an upstream, or a request would ask for itself."""
        self._names: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, route: Route, taker: Answered, *, fresh: bool = False) -> None:
        """Calls `opened` or `open_failed` once, perhaps at once. fresh: a new connection, not a kept one."""
        key = _key(route)
        idle = self._idle.get(key)
        while idle and not fresh:
            connection = idle.pop()
            if connection.usable:
                connection.take(taker)
                taker.opened(connection, reused=True)
                return
        task = asyncio.get_running_loop().create_task(self._connect(route, key, taker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keeps a connection for the next request."""
        key = connection.key
        idle = self._idle.setdefault(key, deque())  # type: ignore[arg-type]  # the pool made the key
        if len(idle) >= MAX_IDLE:
            connection.abort()
            return
        connection.idle_since = self._clock()
        idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Drops a connection that is closed."""
        self._open.discard(connection)
        idle = self._idle.get(connection.key)  # type: ignore[call-overload]  # the pool made the key
        if idle and connection in idle:
            idle.remove(connection)

    def sweep(self) -> None:
        """Closes connections that have been idle for too long."""
        before = self._clock() - self.limits.upstream_idle_s
        for idle in self._idle.values():
            while idle and idle[0].idle_since < before:
                idle.popleft().abort()

    def close(self) -> None:
        """Breaks every connection."""
        for task in self._tasks:
            task.cancel()
        for connection in list(self._open):
            connection.abort()

    async def _connect(self, route: Route, key: _Key, taker: Answered) -> None:
        try:
            async with asyncio.timeout(self.limits.connect_timeout_s):
                connection = await self._dial(route, key)
        except _UnreachableError as error:
            taker.open_failed(error.code, error.reason)
            return
        except TimeoutError:
            taker.open_failed("upstream_unreachable", f"{route.upstream.name} could not be reached in time.")
            return
        except Exception as error:
            _log.error("connecting to %s failed: %s", route.upstream.name, type(error).__name__)
            taker.open_failed(
                "upstream_unreachable", f"{route.upstream.name} cannot be reached; nothing was forwarded."
            )
            return
        self._open.add(connection)
        connection.take(taker)
        try:
            taker.opened(connection, reused=False)
        except Exception as error:
            _log.error("using a connection failed: %s", type(error).__name__)
            connection.abort()
            taker.open_failed("shim_failed", "This shim failed; see its log. The request may have been forwarded.")
            taker.link_lost()

    async def _dial(self, route: Route, key: _Key) -> UpstreamConnection:
        """Returns a new connection. Raises _UnreachableError."""
        loop = asyncio.get_running_loop()
        name = route.upstream.name
        tls = self._tls if route.tls else None
        for address in await self._addresses(route):
            try:
                transport, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self, key),
                    address,
                    route.port,
                    ssl=tls,
                    server_hostname=route.host if tls else None,
                )
            except ssl.SSLCertVerificationError:
                why = f"The certificate of {name} cannot be verified; nothing was forwarded."
                raise _UnreachableError("upstream_untrusted", why) from None
            except OSError:
                continue
            if self._leads_here(transport):
                transport.abort()
                why = f"The host of {name} is this shim itself; nothing was forwarded. Ask the policy's admin."
                raise _UnreachableError("loop_detected", why)
            return connection
        raise _UnreachableError("upstream_unreachable", f"{name} cannot be reached; nothing was forwarded.")

    def _leads_here(self, transport: asyncio.BaseTransport) -> bool:
        """Returns whether the other end is a listener of this shim; nothing was sent yet."""
        other, port, *_ = transport.get_extra_info("peername") or ("", 0)
        if not any(port == own for _, own in self.own):
            return False
        there = _plain(other)
        if (str(there), port) in self.own:
            return True
        local = there.is_loopback or there == _plain(transport.get_extra_info("sockname")[0])
        return local and any((everywhere, port) in self.own for everywhere in ("0.0.0.0", "::"))  # noqa: S104  # compared

    async def _addresses(self, route: Route) -> list[str]:
        """Returns the addresses of the upstream's name. Raises _UnreachableError if any of them is not permitted."""
        name = route.upstream.name
        kept = self._names.get((route.host, route.port))
        if kept is not None and kept[0] > self._clock():
            found = kept[1]
        else:
            try:
                rows = await asyncio.get_running_loop().getaddrinfo(route.host, route.port, type=socket.SOCK_STREAM)
            except OSError:
                why = f"The host of {name} has no address; nothing was forwarded."
                raise _UnreachableError("upstream_unreachable", why) from None
            found = list(dict.fromkeys(str(row[4][0]) for row in rows))
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[route.host, route.port] = self._clock() + NAMES_S, found
        if not found or not all(_may_connect(each, route) for each in found):
            why = f"The host of {name} has an address that may not be connected to; nothing was forwarded."
            raise _UnreachableError("address_refused", why)
        return found


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Returns an address without its zone, as IPv4 where it is that within IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _may_connect(address: str, route: Route) -> bool:
    """Returns whether a route may lead to an address; a credential never crosses the Internet in the clear."""
    if not route.tls and route.upstream.known_values and is_permitted(address, private=False):
        return False
    return is_permitted(address, private=route.upstream.private_addresses)


def _key(route: Route) -> _Key:
    return route.tls, route.host, route.port, route.upstream.private_addresses

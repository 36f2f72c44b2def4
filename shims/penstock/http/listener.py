"""Opens one address that a shim listens on: TCP, or a Unix socket, whose file it makes and removes.

Everybody who can reach the file may connect, as everybody on the machine may connect to loopback: what narrows it is
the folder that it lies in, and every request needs a token anyway.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = ["Listener", "split_port"]

BACKLOG = 1024
"""Connections that may wait to be accepted."""
SOCKET_MODE = 0o666
"""Mode of the file of a Unix socket: agents run under other users than the shim."""


class Listener:
    """Holds an open listener. url: where it listens, http://HOST:PORT or unix:/PATH. own: TCP address and port."""

    def __init__(
        self, server: asyncio.AbstractServer, url: str, path: Path | None = None, own: tuple[str, int] | None = None
    ) -> None:
        self.url = url
        self.own = own
        self._server = server
        self._path = path
        self._inode = path.lstat().st_ino if path is not None else 0

    @classmethod
    async def open(cls, address: str, factory: Callable[[], asyncio.Protocol]) -> "Listener":
        """Listens on HOST:PORT (IPv6 in brackets) or unix:/PATH. Raises OSError if it cannot."""
        loop = asyncio.get_running_loop()
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            _clear(path)
            bound = _bind(path)
            server = await loop.create_unix_server(factory, sock=bound, backlog=BACKLOG)
            return cls(server, f"unix:{path}", path)
        host, port = split_port(address)
        tcp = await loop.create_server(factory, host, port, backlog=BACKLOG)
        name, number = tcp.sockets[0].getsockname()[:2]
        return cls(tcp, f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}", own=(name, number))

    def close(self) -> None:
        """Accepts nothing more; removes the file of a Unix socket, unless it is another's by now."""
        self._server.close()
        if self._path is not None:
            try:
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            except OSError:
                pass  # gone already, or not ours to remove any more


def _bind(path: Path) -> socket.socket:
    """Returns a socket whose file has its mode from the begin: chmod would follow a link put there meanwhile."""
    bound = socket.socket(socket.AF_UNIX)
    former = os.umask(0o777 & ~SOCKET_MODE)
    try:
        bound.bind(os.fspath(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(former)
    bound.setblocking(False)
    return bound


def split_port(address: str) -> tuple[str, int]:
    """Returns host and port of HOST:PORT, IPv6 without its brackets. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r}: write HOST:PORT, with port 0 for any free one, or unix:/PATH")
    return host, int(port)


def _clear(path: Path) -> None:
    """Removes a socket that a killed process has left. Raises OSError if something else is there, or it is in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "something that is no socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

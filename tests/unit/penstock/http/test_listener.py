"""Tests of listeners: real sockets, on loopback and in a folder of the test."""

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.http.listener import Listener, split_port

pytestmark = pytest.mark.anyio


class Greeter(asyncio.Protocol):
    """Says hello and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Makes a folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pst-") as name:
        yield Path(name)


def names(folder: Path) -> list[str]:
    """Returns what is in the folder."""
    return sorted(entry.name for entry in folder.iterdir())


def mode(path: Path) -> int:
    """Returns the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


async def greeting(path: Path) -> bytes:
    """Returns what a Unix socket says."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize(("address", "url"), [("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")])
async def test_tcp_says_where_it_listens(address: str, url: str) -> None:
    """With the port that it got."""
    listener = await Listener.open(address, Greeter)
    try:
        assert listener.url.startswith(url)
        host, port = split_port(listener.url.removeprefix("http://"))
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.read() == b"hello"
        writer.close()
    finally:
        listener.close()


async def test_a_unix_socket_is_open_to_other_users_and_goes_with_its_listener(folder: Path) -> None:
    """Agents run under another user; the folder is what keeps others out."""
    path = folder / "s"
    listener = await Listener.open(f"unix:{path}", Greeter)
    assert listener.url == f"unix:{path}"
    assert mode(path) == 0o666
    assert await greeting(path) == b"hello"
    listener.close()
    assert names(folder) == []
    listener.close()


async def test_a_path_that_is_too_long_leaves_nothing_behind(folder: Path) -> None:
    """The kernel takes 107 bytes; the process's umask is as before."""
    former = os.umask(0o077)
    try:
        with pytest.raises(OSError, match="too long"):
            await Listener.open(f"unix:{folder}/{'x' * 200}", Greeter)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(former)
    assert names(folder) == []


async def test_a_socket_that_a_killed_process_left_is_replaced(folder: Path) -> None:
    """Nobody answers there."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    listener = await Listener.open(f"unix:{path}", Greeter)
    assert await greeting(path) == b"hello"
    listener.close()


async def test_what_is_in_use_or_no_socket_stays(folder: Path) -> None:
    """Neither another's listener nor a file is taken away."""
    path = folder / "s"
    first = await Listener.open(f"unix:{path}", Greeter)
    with pytest.raises(OSError, match="in use"):
        await Listener.open(f"unix:{path}", Greeter)
    assert await greeting(path) == b"hello"
    (folder / "link").symlink_to(path)
    (folder / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(OSError, match="no socket"):
            await Listener.open(f"unix:{folder / name}", Greeter)
    assert names(folder) == ["folder", "link", "s"]
    first.close()


async def test_a_socket_that_was_replaced_is_not_removed(folder: Path) -> None:
    """The file may be another process's by then."""
    path = folder / "s"
    first = await Listener.open(f"unix:{path}", Greeter)
    path.rename(folder / "old")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        first.close()
        assert "s" in names(folder)


@pytest.mark.parametrize("address", ["8080", ":80", "::1:80", "a:b", "a:65536", "a:", "[::1]", "a:\u0663"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """With what to write."""
    with pytest.raises(ValueError, match="write HOST:PORT"):
        split_port(address)


async def test_a_listener_knows_the_address_that_is_its_own(folder: Path) -> None:
    """That of TCP, so that no upstream can be it; a file is no upstream's address."""
    tcp, unix = await Listener.open("127.0.0.1:0", Greeter), await Listener.open(f"unix:{folder}/s", Greeter)
    assert tcp.own is not None and tcp.url == f"http://127.0.0.1:{tcp.own[1]}" and unix.own is None
    tcp.close()
    unix.close()

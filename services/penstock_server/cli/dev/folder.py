"""The data folder of dev: its lock, its modes, and the files that dev writes into it."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock_server.cli.dev_file import write_private
from penstock_server.cli.failure import Failure
from penstock_server.cli.loopback import is_loopback
from penstock_server.cli.toml import Entries, toml

__all__ = ["DevFolder"]

MAX_SOCKET_BYTES = 100
"""Longest path of a Unix socket that is used, bytes; Linux takes 107 (unix(7)), macOS 103."""

NOTE = "# Written by penstock-server dev at every start; changes here are lost.\n"


class DevFolder:
    """Names the files of one data folder. Made by `opened`, which holds its lock."""

    def __init__(self, path: Path, socket: Path) -> None:
        self.path = path
        self.socket = socket
        self.service_toml = path / "service.toml"
        self.shim_toml = path / "shim.toml"
        self.shim_token = path / "shim.token"
        self.address = f"unix:{socket}"
        # Two characters of a path have a meaning in a URL's database part; SQLAlchemy decodes them again.
        file = str(path / "penstock.db").replace("%", "%25").replace("?", "%3F")
        self.database = f"sqlite+aiosqlite:///{file}"

    def write_service(self, people_issuer: str) -> None:
        """Writes service.toml: SQLite and keys in this folder, a Unix socket; policies say where secrets go."""
        content: Entries = {
            "listen": [self.address],
            "database": self.database,
            "data": str(self.path),
            "people_issuer": people_issuer,
            "unsafe_secret_hosts_from_policy": True,
            "unsafe_token_service": True,
        }
        write_private(self.service_toml, NOTE + toml(content))

    def write_shim(self, listen: str) -> None:
        """Writes shim.toml. listen: HOST:PORT."""
        plain = {} if is_loopback(listen) else {"unsafe_plain_listen": True}  # dev says it loudly
        content: Entries = {
            "service": self.address,
            "token_file": str(self.shim_token),
            "listen": listen,
            **plain,
        }
        write_private(self.shim_toml, NOTE + toml(content))


@contextmanager
def opened(path: Path) -> Iterator[DevFolder]:
    """Creates the folder (0700) if need be, locks it and yields it.

    Raises Failure if another dev has it, if it belongs to another user, or if others may look into it.
    """
    path = path.absolute()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = path.resolve()
    _own(path)
    lock = os.open(path / "dev.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            raise Failure(
                f"another penstock-server dev (process {holder or '?'}) uses {path}: stop it, or change its policy "
                f"with `penstock-server policy apply FILE --dev {path}`"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        with _socket(path) as socket:
            yield DevFolder(path, socket)
    finally:
        os.close(lock)  # which unlocks; the file stays, or two processes could lock two files of that name


def _own(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Failure(f"{path} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        if any(path.iterdir()):
            raise Failure(f"{path} is open to other users, and keys will lie in it: chmod 700 {path}")
        path.chmod(0o700)


@contextmanager
def _socket(path: Path) -> Iterator[Path]:
    """Yields where the service's socket goes: into the folder, or a private temporary one if that path is too long."""
    inside = path / "service.sock"
    if len(os.fsencode(inside)) <= MAX_SOCKET_BYTES:
        inside.unlink(missing_ok=True)  # left by a process that was killed; the lock says that nobody serves it
        yield inside
        inside.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:  # made 0700
        yield Path(folder) / "service.sock"

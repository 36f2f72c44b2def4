"""The data folder of dev."""

import os
import stat
import tomllib
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from penstock_server.cli.dev.folder import MAX_SOCKET_BYTES, opened
from penstock_server.cli.failure import Failure


def mode(path: Path) -> int:
    """Returns the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    """It and its lock are for their owner only."""
    with opened(tmp_path / "a" / "b") as folder:
        assert mode(folder.path) == 0o700
        assert mode(folder.path / "dev.lock") == 0o600


def test_an_empty_open_folder_is_closed(tmp_path: Path) -> None:
    """What `mkdir` made is taken and made private."""
    path = tmp_path / "d"
    path.mkdir(mode=0o755)
    with opened(path):
        assert mode(path) == 0o700


def test_a_full_open_folder_is_refused(tmp_path: Path) -> None:
    """Keys may have been read there: a person has to look."""
    path = tmp_path / "d"
    path.mkdir(mode=0o755)
    (path / "file").touch()
    with pytest.raises(Failure, match="chmod 700"), opened(path):
        pass
    assert not (path / "dev.lock").exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """The operating system's error is what the command shows."""
    (tmp_path / "d").touch()
    with pytest.raises(FileExistsError), opened(tmp_path / "d"):
        pass


def test_a_second_dev_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    """The process that has it is named; afterwards the folder is free again."""
    with (
        opened(tmp_path / "d"),
        pytest.raises(Failure, match=rf"another penstock-server dev \(process {os.getpid()}\) uses"),
        opened(tmp_path / "d"),
    ):
        pass
    with opened(tmp_path / "d"):
        pass


def test_both_configurations_are_private_and_name_each_other(tmp_path: Path) -> None:
    """The shim's service is the service's listener; paths are absolute, whatever characters are in them."""
    with opened(tmp_path / 'd "x"') as folder:
        folder.write_service("urn:people")
        folder.write_shim("127.0.0.1:8642")
        service = tomllib.loads(folder.service_toml.read_text())
        shim = tomllib.loads(folder.shim_toml.read_text())
    assert service == {
        "listen": [folder.address],
        "database": f"sqlite+aiosqlite:///{folder.path}/penstock.db",
        "data": str(folder.path),
        "people_issuer": "urn:people",
        "unsafe_secret_hosts_from_policy": True,
        "unsafe_token_service": True,
    }
    assert shim == {"service": folder.address, "token_file": str(folder.shim_token), "listen": "127.0.0.1:8642"}
    assert folder.path.is_absolute()
    assert (mode(folder.service_toml), mode(folder.shim_toml)) == (0o600, 0o600)


def test_a_shim_beyond_loopback_is_said_to_be_meant(tmp_path: Path) -> None:
    """Without the word the shim would refuse to start."""
    with opened(tmp_path) as folder:
        folder.write_shim("0.0.0.0:8642")
        assert tomllib.loads(folder.shim_toml.read_text())["unsafe_plain_listen"] is True


def test_the_database_is_in_the_folder_whatever_its_name(tmp_path: Path) -> None:
    """A question mark does not cut the path, and a percent sign is itself."""
    with opened(tmp_path / "a?b=%41 c#") as folder:
        assert make_url(folder.database).database == f"{folder.path}/penstock.db"
        assert make_url(folder.database).query == {}


def test_the_socket_is_in_the_folder_and_a_stale_one_goes(short_folder: Path) -> None:
    """A socket that a killed service left behind is removed."""
    (short_folder / "service.sock").touch()
    with opened(short_folder) as folder:
        assert folder.socket == short_folder.resolve() / "service.sock"
        assert not folder.socket.exists()
        folder.socket.touch()
    assert not folder.socket.exists()


def test_a_long_path_gets_a_private_temporary_socket(tmp_path: Path) -> None:
    """A path that no socket may have goes elsewhere, and what was made is removed."""
    with opened(tmp_path / ("x" * MAX_SOCKET_BYTES)) as folder:
        assert len(os.fsencode(folder.socket)) <= MAX_SOCKET_BYTES
        assert mode(folder.socket.parent) == 0o700
        assert folder.path not in folder.socket.parents
    assert not folder.socket.parent.exists()

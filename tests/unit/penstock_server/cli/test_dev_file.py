"""DIR/dev.json."""

import json
import stat
from pathlib import Path

import pytest

from penstock_server.cli import dev_file
from penstock_server.cli.failure import Failure

CONTENT = dev_file.DevFile("unix:/s", "http://127.0.0.1:1", {"admin": "a" * 8})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The file has the three documented keys, is for its owner only, and leaves no draft behind."""
    dev_file.write(tmp_path, CONTENT)
    assert dev_file.read(tmp_path) == CONTENT
    assert json.loads((tmp_path / "dev.json").read_text()).keys() == {"service", "http", "tokens"}
    assert stat.S_IMODE((tmp_path / "dev.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["dev.json"]


def test_a_file_that_others_could_read_is_replaced(tmp_path: Path) -> None:
    """Writing over a file with loose modes makes it private, and does not follow a link."""
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    target.chmod(0o644)
    (tmp_path / "dev.json").symlink_to(target)
    dev_file.write(tmp_path, CONTENT)
    assert target.read_text() == "mine"
    assert stat.S_IMODE((tmp_path / "dev.json").lstat().st_mode) == 0o600


def test_a_folder_without_it_says_how_to_get_it(tmp_path: Path) -> None:
    """The error names the command to start."""
    with pytest.raises(Failure, match=f"start penstock-server dev --data {tmp_path}") as caught:
        dev_file.read(tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"service": 1, "http": 2, "tokens": []}', "\udcff"])
def test_another_file_of_that_name_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever else is in it, there is one line and no traceback."""
    (tmp_path / "dev.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Failure, match="was not written by penstock-server dev"):
        dev_file.read(tmp_path)


def test_tokens_are_not_shown() -> None:
    """The representation holds no token."""
    assert "a" * 8 not in repr(CONTENT)

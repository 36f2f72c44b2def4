"""Tests of the key file."""

from pathlib import Path

import pytest

from penstock_server.domain.errors import PenstockError
from penstock_server.key_file import read_or_make_key


def test_the_first_start_makes_a_key_that_later_starts_read(tmp_path: Path) -> None:
    """The file has mode 0600 and the same 32 bytes come back."""
    path = tmp_path / "kek.key"
    key = read_or_make_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_key(path) == key


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The refusal names the file and says what to do."""
    path = tmp_path / "kek.key"
    read_or_make_key(path)
    path.chmod(0o640)
    with pytest.raises(PenstockError, match="chmod 600") as refused:
        read_or_make_key(path)
    assert refused.value.reason == "KEY_FILE_UNSAFE"


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31])
def test_a_broken_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """Its content is not in the message."""
    path = tmp_path / "kek.key"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(PenstockError) as refused:
        read_or_make_key(path)
    assert refused.value.reason == "KEY_FILE_BROKEN"
    assert not text or text not in str(refused.value)

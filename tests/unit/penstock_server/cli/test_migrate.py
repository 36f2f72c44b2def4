"""penstock-server migrate."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock_server.cli import cli

PASSWORD = "hunter" + "2-planted"


def test_a_database_is_created_and_may_be_migrated_again(tmp_path: Path) -> None:
    """Once creates it, twice changes nothing."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'p.db'}"
    for _ in range(2):
        result = CliRunner().invoke(cli, ["migrate", "--database", url])
        assert (result.exit_code, result.output) == (0, "the database is up to date\n")
    assert (tmp_path / "p.db").stat().st_size > 0


def test_the_url_comes_from_a_configuration_too(tmp_path: Path) -> None:
    """So that a password is on no command line."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    file = tmp_path / "service.toml"
    file.write_text(
        f'listen = ["unix:{tmp_path}/s"]\ndatabase = "sqlite+aiosqlite:///{tmp_path}/c.db"\ndata = "{data}"\n'
    )
    result = CliRunner().invoke(cli, ["migrate", "--config", str(file)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "c.db").exists()


@pytest.mark.parametrize("arguments", [[], ["--database", "sqlite+aiosqlite:///x", "--config", __file__]])
def test_exactly_one_source_is_demanded(arguments: list[str]) -> None:
    """Neither none nor both."""
    result = CliRunner().invoke(cli, ["migrate", *arguments])
    assert result.exit_code == 2
    assert "give either --database or --config" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+asyncpg://u:{PASSWORD}@127.0.0.1:1/x",
        f"nonsense+driver://u:{PASSWORD}@h/x",
        f"not a url {PASSWORD}",
        f"postgresql+asyncpg://u:{PASSWORD}@h:port/x",
        f"sqlite+aiosqlite:////nowhere/{PASSWORD}/p.db",
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(url: str) -> None:
    """No traceback, nothing of the URL, and not exit code 0."""
    result = CliRunner().invoke(cli, ["migrate", "--database", url])
    assert result.exit_code in (2, 3)
    assert PASSWORD not in result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1

"""penstock-server serve."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock_server import server
from penstock_server.cli import cli
from penstock_server.config import Config


def test_the_service_runs_with_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read and given to the server, which says when it is ready."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    file = tmp_path / "service.toml"
    file.write_text(
        f'listen = ["unix:{tmp_path}/s"]\ndatabase = "sqlite+aiosqlite:///{tmp_path}/p.db"\ndata = "{data}"\n'
    )
    given: list[Config] = []

    async def serve(config: Config) -> None:
        given.append(config)
        print("ready", flush=True)

    monkeypatch.setattr(server, "serve", serve)
    result = CliRunner().invoke(cli, ["serve", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (0, "ready\n"), result.output
    assert [list(config.listen) for config in given] == [[f"unix:{tmp_path}/s"]]


def test_a_bad_configuration_is_wrong_usage(tmp_path: Path) -> None:
    """An unknown key is named, and nothing is served."""
    file = tmp_path / "service.toml"
    file.write_text('lissten = ["unix:/s"]\n')
    result = CliRunner().invoke(cli, ["serve", "--config", str(file)])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "lissten" in result.stderr


def test_a_configuration_that_is_not_there_is_wrong_usage() -> None:
    """The missing file is named."""
    result = CliRunner().invoke(cli, ["serve", "--config", "/nowhere/service.toml"])
    assert result.exit_code == 2
    assert "/nowhere/service.toml" in result.stderr

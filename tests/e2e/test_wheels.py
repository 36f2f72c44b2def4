"""Both wheels, built and installed into a clean environment: what a newcomer gets migrates, serves and answers."""

import os
import select
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # ships no types

ROOT = Path(__file__).resolve().parents[2]
BUILD_S, INSTALL_S, START_S = 60, 180, 30
"""How long building a wheel, installing both and starting a service may take, seconds."""

pytestmark = pytest.mark.timeout(BUILD_S * 2 + INSTALL_S + START_S * 2)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Builds the shim's wheel and the server's, in this order."""
    folder = tmp_path_factory.mktemp("dist")
    for project in (ROOT / "shims", ROOT):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project)]
        _run(command, BUILD_S)
    return [next(folder.glob("penstock_shim-*.whl")), next(folder.glob("penstock_server-*.whl"))]


@pytest.fixture(scope="module")
def clean(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs both wheels into an environment that sees nothing of this one; returns its folder of programs."""
    environment = tmp_path_factory.mktemp("clean") / "env"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "-c", str(ROOT / "constraints.txt"), *map(str, wheels)], INSTALL_S)
    return environment / "bin"


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """Makes a folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pst-") as folder:
        yield Path(folder)


def test_the_wheels_hold_only_their_own_package(wheels: list[Path]) -> None:
    """Site-packages gets penstock and penstock_server and nothing else; the server brings its migrations."""
    shim, server = wheels
    assert _tops(shim) == {"penstock", f"{shim.name.split('-py3')[0]}.dist-info"}
    assert _tops(server) == {"penstock_server", f"{server.name.split('-py3')[0]}.dist-info"}
    names = zipfile.ZipFile(server).namelist()
    assert any(name.startswith("penstock_server/migrations/versions/") and name.endswith(".py") for name in names)
    assert [name for wheel in wheels for name in zipfile.ZipFile(wheel).namelist() if name.endswith("LICENSE")]


def test_the_installed_service_migrates_serves_and_stops(clean: Path, socket_folder: Path) -> None:
    """From the wheels alone: migrate makes the database, serve says ready, health answers SERVING, SIGTERM ends it."""
    database = f"sqlite+aiosqlite:///{socket_folder / 'penstock.db'}"
    address = f"unix:{socket_folder / 's.sock'}"
    data = socket_folder / "data"
    data.mkdir(mode=0o700)
    config = socket_folder / "service.toml"
    config.write_text(f'listen = ["{address}"]\ndatabase = "{database}"\ndata = "{data}"\n')
    _run([str(clean / "penstock-server"), "migrate", "--database", database], START_S)
    command = [str(clean / "penstock-server"), "serve", "--config", str(config)]
    log = socket_folder / "service.log"
    with log.open("w") as errors:
        service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment())
    try:
        assert service.stdout is not None
        readable, _, _ = select.select([service.stdout], [], [], START_S)
        assert readable and service.stdout.readline().startswith("ready"), log.read_text()
        with grpc.insecure_channel(address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=START_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        service.terminate()
        assert service.wait(timeout=START_S) == 0, log.read_text()
    finally:
        service.kill()
        service.wait(timeout=START_S)
        assert service.stdout is not None
        service.stdout.close()


def test_the_thin_command_runs_without_the_server(clean: Path) -> None:
    """The thin distribution's command answers, and imports nothing of the policy service on its way."""
    assert "approvals" in _run([str(clean / "penstock"), "--help"], START_S)
    code = (
        "import sys, penstock.cli\n"
        "sys.exit(any(name.split('.')[0] in {'penstock_server', 'sqlalchemy', 'yaml'} for name in sys.modules))"
    )
    _run([str(clean / "python"), "-c", code], START_S)


def _environment() -> dict[str, str]:
    """Returns this environment without what could lead the installed programs back to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PYTHON"))}


def _run(command: list[str], timeout_s: int) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=_environment(), cwd="/")
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _tops(wheel: Path) -> set[str]:
    """Returns the top-level names in a wheel."""
    return {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

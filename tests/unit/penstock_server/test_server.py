"""Tests of the composition root: it refuses half a set-up, opens every service to one role, and tells its health."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from penstock_server import server
from penstock_server.config import Config
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.rpc.edge import OPEN_SERVICES, SERVICE_ROLES
from penstock_server.store import Store, migrate, open_store
from unit.penstock_server.operations.fakes import AWAY, MemoryLog, MemoryPolicies
from unit.penstock_server.operations.world import World, a_world

pytestmark = pytest.mark.anyio

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def a_config(folder: Path, **changes: Any) -> Config:
    """Returns the configuration of a service whose everything is in the folder."""
    config = Config(
        listen=(f"unix:{folder / 's'}",),
        database=f"sqlite+aiosqlite:///{folder / 'p.db'}",
        data=folder / "data",
        people_issuer="urn:penstock:dev",
    )
    return replace(config, **changes)


async def _refusal(config: Config) -> PenstockError:
    with pytest.raises(PenstockError) as refused:
        await server.serve(config)
    return refused.value


async def test_a_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """One that others may enter is refused, before a key is made in it."""
    server._check_data(tmp_path / "a" / "data")
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    refusal = await _refusal(a_config(tmp_path, data=shared))
    assert (refusal.reason, "chmod 700" in refusal.message) == ("DATA_FOLDER", True)
    assert list(shared.iterdir()) == []
    (tmp_path / "file").touch()
    assert (await _refusal(a_config(tmp_path, data=tmp_path / "file"))).reason == "DATA_FOLDER"


async def test_a_database_that_was_not_migrated_is_refused(tmp_path: Path) -> None:
    """The refusal says who migrates it; nothing is made."""
    refusal = await _refusal(a_config(tmp_path))
    assert refusal.code is Code.UNAVAILABLE and "penstock-server migrate" in refusal.message
    assert not (tmp_path / "p.db").exists() and not (tmp_path / "s").exists()


@asynccontextmanager
async def _store(folder: Path) -> AsyncIterator[Store]:
    config = a_config(folder)
    await asyncio.to_thread(migrate, config.database)
    store = await open_store(config.database)
    try:
        yield store
    finally:
        await store.close()


@dataclass
class Registered:
    """Stands for a gRPC server that is never started: notes what it would serve, and where it may listen."""

    services: dict[str, Any] = field(default_factory=dict)
    interceptors: list[Any] = field(default_factory=list)
    ports: dict[str, bool] = field(default_factory=dict)
    free: bool = True

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        for handler in handlers:
            self.services[handler.service_name()] = handler

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.services[service] = handlers

    def add_insecure_port(self, address: str) -> int:
        self.ports[address] = False
        return int(self.free)

    def add_secure_port(self, address: str, credentials: Any) -> int:
        self.ports[address] = True
        return int(self.free)


@pytest.mark.parametrize("tokens", [True, False])
async def test_every_service_is_opened_to_exactly_one_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: bool
) -> None:
    """What is served and what the interceptor knows are the same list; everything passes the interceptor.

    The service that makes anybody of an admin is served only where the configuration says so.
    """
    registered = Registered()

    def make(interceptors: list[Any], options: list[Any]) -> Any:
        registered.interceptors = interceptors
        return registered

    monkeypatch.setattr(grpc.aio, "server", make)
    server._check_data(tmp_path / "data")
    async with _store(tmp_path) as store:
        parts = server._build(a_config(tmp_path, unsafe_token_service=tokens), store)
    closed = set() if tokens else {"penstock.v1.TokenService"}
    assert registered.services.keys() == (SERVICE_ROLES.keys() | OPEN_SERVICES) - closed
    assert [type(one).__name__ for one in registered.interceptors] == ["Edge"]
    assert parts.active.current.snapshot.epoch == 0


async def test_an_open_mode_is_logged_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By its name; a configuration without one starts in silence."""
    server._warn(a_config(tmp_path))
    assert caplog.records == []
    server._warn(a_config(tmp_path, **dict.fromkeys(server.UNSAFE, True)))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(server.UNSAFE)
    for setting, line in zip(server.UNSAFE, caplog.messages, strict=True):
        assert setting.startswith("unsafe_") and line.startswith(f"{setting} is on: ")


async def test_a_socket_that_was_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """A path that holds something else is refused, and stays."""
    path = tmp_path / "s"
    path.write_text("precious")
    listening: Any = Registered(free=False)
    with pytest.raises(PenstockError, match="cannot listen") as refused:
        server._bind(listening, a_config(tmp_path), f"unix:{path}")
    assert refused.value.reason == "LISTEN_FAILED" and path.read_text() == "precious"


async def test_loopback_is_plain_and_the_rest_is_tls(tmp_path: Path) -> None:
    """A Unix socket stays plain although there is a certificate; a certificate that cannot be read is refused."""
    listening: Any = Registered()
    server._bind(listening, a_config(tmp_path), "127.0.0.1:0")
    assert listening.ports == {"127.0.0.1:0": False}
    absent = a_config(tmp_path, tls_cert=tmp_path / "c.pem", tls_key=tmp_path / "k.pem")
    with pytest.raises(PenstockError) as refused:
        server._bind(listening, absent, "0.0.0.0:1")
    assert refused.value.reason == "TLS_FILES"
    (tmp_path / "c.pem").write_text("certificate")
    (tmp_path / "k.pem").write_text("key")
    server._bind(listening, absent, "0.0.0.0:1")
    server._bind(listening, absent, f"unix:{tmp_path / 's'}")
    assert listening.ports == {"127.0.0.1:0": False, "0.0.0.0:1": True, f"unix:{tmp_path / 's'}": False}


@dataclass
class Health:
    """Notes what health was told."""

    told: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def set(self, service: str, status: int) -> None:
        assert service == ""
        self.told.put_nowait(status)


@asynccontextmanager
async def _watched(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Health]:
    """Watches the world's database, often."""
    monkeypatch.setattr(server, "PROBE_S", 0.001)
    health = Health()
    parts: Any = server._Parts(None, world.active, world.holds, world.journal, health)  # type: ignore[arg-type] # no gRPC server here

    @dataclass
    class Opened:
        policies: MemoryPolicies
        log: MemoryLog

        @property
        def failing(self) -> bool:
            return bool(self.log.failing)

    store: Any = Opened(world.policies, world.log)
    task = asyncio.create_task(server._watch(parts, store))
    try:
        yield health
        assert not task.done()
    finally:
        task.cancel()


async def test_health_follows_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """SERVING, NOT_SERVING while it is away, SERVING again without a restart; each is told once."""
    world = await a_world()
    async with _watched(world, monkeypatch) as health:
        assert await asyncio.wait_for(health.told.get(), 20) == SERVING
        world.policies.away = True
        assert await asyncio.wait_for(health.told.get(), 20) == NOT_SERVING
        world.policies.away = False
        assert await asyncio.wait_for(health.told.get(), 20) == SERVING
        await asyncio.sleep(0.01)
        assert health.told.empty()


async def test_health_follows_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full can still be read: NOT_SERVING until an entry can be written, which says so to auditors."""
    world = await a_world()
    async with _watched(world, monkeypatch) as health:
        assert await asyncio.wait_for(health.told.get(), 20) == SERVING
        world.log.failing = 3
        assert await asyncio.wait_for(health.told.get(), 20) == NOT_SERVING
        assert await asyncio.wait_for(health.told.get(), 20) == SERVING
    assert world.log.failing == 0


async def test_a_database_that_hangs_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time limit."""

    @dataclass
    class Hanging(MemoryPolicies):
        async def epoch(self) -> int:
            await asyncio.sleep(3600)
            raise AWAY

    monkeypatch.setattr(server, "PROBE_LIMIT_S", 0.001)
    world = await a_world()
    world.policies = Hanging()
    async with _watched(world, monkeypatch) as health:
        assert await asyncio.wait_for(health.told.get(), 20) == NOT_SERVING


async def test_changes_of_other_processes_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shims that are connected here are told of them, although nobody asks for a decision."""
    world = await a_world()
    told = asyncio.Event()

    async def note() -> None:
        told.set()

    world.active.listen(note)
    async with _watched(world, monkeypatch):
        await world.elsewhere("rules: []\n")
        await asyncio.wait_for(told.wait(), 20)
    assert world.active.current.snapshot.revision == 2


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shutdown does not hang on it."""
    monkeypatch.setattr(server, "CANCEL_S", 0.001)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 1:
                    raise

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(3600))]
    await asyncio.sleep(0)
    await asyncio.wait_for(server._end(tasks), 20)
    assert swallowed == 2 and all(task.cancelled() for task in tasks)


async def test_ids_cannot_be_guessed() -> None:
    """128 random bits behind their prefix, none drawn twice."""
    new_id = server._new_ids()
    ids = {new_id("apr") for _ in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch("apr_[0-9a-f]{32}", one) for one in ids)

"""The composition root of the service: builds every part from the configuration, serves, and shuts down in order."""

import asyncio
import logging
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from penstock._core.mask import detector_ids
from penstock.v1 import (
    approval_pb2,
    approval_pb2_grpc,
    approver_pb2,
    approver_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    recording_pb2,
    recording_pb2_grpc,
    secret_pb2,
    secret_pb2_grpc,
    shim_pb2,
    shim_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
)
from penstock_server.conditions import compile_condition
from penstock_server.config import Config
from penstock_server.document import diff, parse, rule_rows
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.identity import DevIssuer, Verifier
from penstock_server.operations.active import ActiveState
from penstock_server.operations.decide import Decisions
from penstock_server.operations.enrolment import Enrolment
from penstock_server.operations.environment import CompiledPolicy, NewId
from penstock_server.operations.gate import Gate
from penstock_server.operations.holds import Holds
from penstock_server.operations.journal import Journal
from penstock_server.operations.judge import NOBODY, Judge
from penstock_server.operations.policies import Policies
from penstock_server.operations.recording import Recordings
from penstock_server.operations.review import Reviews
from penstock_server.operations.secret_keeping import Secrets
from penstock_server.operations.token_issue import Tokens
from penstock_server.rpc.approval import ApprovalServicer, ApproverServicer
from penstock_server.rpc.audit import AuditServicer
from penstock_server.rpc.decision import DecisionServicer
from penstock_server.rpc.edge import Edge
from penstock_server.rpc.keeping import SecretServicer, ShimServicer, TokenServicer
from penstock_server.rpc.policy import PolicyServicer
from penstock_server.rpc.recording import RecordingServicer
from penstock_server.rpc.shim_config import ShimConfigs
from penstock_server.store import Store, open_store
from penstock_server.vault import Keyring

__all__ = ["serve"]

log = logging.getLogger(__name__)

IDS_DRAWN = 64
"""Ids whose random bits are fetched at a time."""
MAX_MESSAGE_BYTES = 16 << 20
"""Largest gRPC message, bytes: a body of 8 MiB, and room for a batch around it."""
GRACE_S = 2.0
"""How long calls under way may take to end at a shutdown, seconds."""
CANCEL_S = 0.1
"""How long a cancelled task may take to end before it is cancelled again, seconds."""
PROBE_S = 1.0
"""How often health asks the database, seconds."""
PROBE_LIMIT_S = 3.0
"""How long the database may take to answer before the service is NOT_SERVING, seconds."""

UNSAFE = {
    "unsafe_secret_hosts_from_policy": "who writes the policy can say where a secret goes that is stored without hosts",
    "unsafe_token_service": "who has an admin's token can get one for anybody, approvers and keepers of secrets too",
}
"""What each open mode of the configuration gives up."""

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Holds what runs beside the gRPC server."""

    server: grpc.aio.Server
    active: ActiveState
    holds: Holds
    journal: Journal
    health: health_aio.HealthServicer


async def serve(config: Config) -> None:
    """Serves until SIGTERM or SIGINT; prints "ready" once it does. Raises PenstockError if it cannot start."""
    _check_data(config.data)
    _warn(config)
    store = await open_store(config.database, config.node)
    try:
        parts = _build(config, store)
        await parts.active.reload()
        for address in config.listen:
            _bind(parts.server, config, address)
        await parts.server.start()
        await _run(parts, store)
    finally:
        await store.close()


async def _run(parts: _Parts, store: Store) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    work = [loop.create_task(parts.holds.run()), loop.create_task(_watch(parts, store))]
    print("ready", flush=True)  # noqa: T201 (what starts this process waits for the line)
    stopped = loop.create_task(stopping.wait())
    await asyncio.wait([stopped, *work], return_when=asyncio.FIRST_COMPLETED)
    await parts.health.enter_graceful_shutdown()
    await parts.server.stop(GRACE_S)
    await _end([stopped, *work])
    for task in work:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancels tasks until all have ended: in Python 3.11, wait_for swallows a cancellation that meets its result."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_S)


def _build(config: Config, store: Store) -> _Parts:
    clock, new_id = _now_ms, _new_ids()
    detectors = detector_ids()

    def compiler(document: str) -> CompiledPolicy:
        parsed = parse(document, compile_condition=compile_condition, detectors=detectors)
        return CompiledPolicy(parsed.policy, parsed.warnings)

    vault = Keyring.open_folder(config.data)
    issuer = DevIssuer.open(config.data)
    verifier = Verifier(issuer.key)
    active = ActiveState(store.policies, store.secrets, store.shims, vault, compiler)
    journal = Journal(store.audit, clock, new_id)
    limits = config.limits
    judge = Judge(verifier, vault, clock, new_id, limits.max_body_bytes)
    gate = Gate(
        store.approvals,
        clock,
        new_id,
        max_pending=limits.max_pending,
        denial_stands_ms=limits.denial_stands_s * 1000,
    )
    decisions = Decisions(active, judge, gate, store.audit)
    holds = Holds(store.approvals, decisions, journal, clock)
    reviews = Reviews(store.approvals, active, vault, journal, holds, clock, new_id, config.people_issuer)
    enrolment = Enrolment(store.shims, active, journal, clock)
    policies = Policies(store.policies, active, journal, clock, compiler, diff, rule_rows)
    kept = Secrets(
        store.secrets, active, vault, journal, clock, hosts_from_policy=config.unsafe_secret_hosts_from_policy
    )
    edge = Edge(verifier, enrolment, config.roles, clock)
    server = grpc.aio.server(interceptors=[edge], options=OPTIONS)
    configs = ShimConfigs(active, store.shims)
    decision_pb2_grpc.add_DecisionServiceServicer_to_server(DecisionServicer(decisions, holds, configs), server)
    approval_pb2_grpc.add_ApprovalServiceServicer_to_server(ApprovalServicer(reviews), server)
    approver_pb2_grpc.add_ApproverServiceServicer_to_server(ApproverServicer(reviews), server)
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(policies), server)
    secret_pb2_grpc.add_SecretServiceServicer_to_server(SecretServicer(kept), server)
    shim_pb2_grpc.add_ShimServiceServicer_to_server(ShimServicer(enrolment), server)
    if config.unsafe_token_service:
        token_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(Tokens(issuer, journal, clock)), server)
    recordings = Recordings(store.frames, active, vault)
    recording_pb2_grpc.add_RecordingServiceServicer_to_server(RecordingServicer(recordings), server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(store.audit), server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    files = [decision_pb2, approval_pb2, approver_pb2, policy_pb2, secret_pb2, shim_pb2, recording_pb2, audit_pb2]
    if config.unsafe_token_service:
        files.append(token_pb2)
    names = [service.full_name for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    reflection.enable_server_reflection([*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name], server)
    return _Parts(server, active, holds, journal, health)


async def _watch(parts: _Parts, store: Store) -> None:
    """Keeps health honest: NOT_SERVING while the database is away or full; takes over changes of other processes."""
    serving = health_pb2.HealthCheckResponse.SERVING
    before: int | None = None
    while True:
        now: int = serving
        try:
            epoch = await asyncio.wait_for(_probe(parts, store), PROBE_LIMIT_S)
            if epoch > parts.active.current.snapshot.epoch:
                await parts.active.reload(epoch)
        except (PenstockError, TimeoutError):
            now = health_pb2.HealthCheckResponse.NOT_SERVING
        if now != before:
            await parts.health.set("", now)
            if before is not None:
                log.warning("health: %s", health_pb2.HealthCheckResponse.ServingStatus.Name(now))
            before = now
        await asyncio.sleep(PROBE_S)


async def _probe(parts: _Parts, store: Store) -> int:
    """Returns the epoch. Raises UNAVAILABLE if it cannot be read, or a log that failed cannot be written yet.

    What shows that it can be is an entry, which tells auditors of the time without a log.
    """
    if store.failing:
        await parts.journal.write(parts.journal.event("log.recovered", NOBODY))
    return await store.policies.epoch()


def _warn(config: Config) -> None:
    """Logs each open mode that is on."""
    for setting, why in UNSAFE.items():
        if getattr(config, setting):
            log.warning("%s is on: %s", setting, why)


def _bind(server: grpc.aio.Server, config: Config, address: str) -> None:
    credentials = _tls(config)
    try:
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            if path.is_socket():  # left by a process that was killed; anything else there is not ours to remove
                path.unlink()
        if credentials is not None and not address.startswith("unix:"):
            port = server.add_secure_port(address, credentials)
        else:
            port = server.add_insecure_port(address)
    except (RuntimeError, OSError):
        port = 0
    if not port:
        raise PenstockError(
            Code.INVALID, "LISTEN_FAILED", f"cannot listen on {address}: is it in use, or may this user not?"
        )


def _tls(config: Config) -> grpc.ServerCredentials | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        pair = (config.tls_key.read_bytes(), config.tls_cert.read_bytes())
    except OSError as error:
        raise PenstockError(
            Code.INVALID, "TLS_FILES", f"[tls] {error.filename} cannot be read: {error.strerror}"
        ) from None
    return grpc.ssl_server_credentials([pair])


def _check_data(data: Path) -> None:
    """Makes the data folder with mode 0700. Raises INVALID if others may enter it."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PenstockError(Code.INVALID, "DATA_FOLDER", f"data folder {data}: {error.strerror}") from None
    mode = data.stat().st_mode & 0o777
    if mode & 0o077:
        raise PenstockError(
            Code.INVALID, "DATA_FOLDER", f"data folder {data} is open to others (mode {mode:o}): run chmod 700 on it"
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _new_ids() -> NewId:
    """Returns what makes ids: prefix_ and 128 random bits in hexadecimal digits.

    The bits are fetched for many ids at a time: each decision needs two, and a system call for each was a tenth of it.
    """
    drawn: list[str] = []

    def new_id(prefix: str) -> str:
        if not drawn:
            bits = secrets.token_hex(16 * IDS_DRAWN)
            drawn.extend(bits[at : at + 32] for at in range(0, len(bits), 32))
        return f"{prefix}_{drawn.pop()}"

    return new_id

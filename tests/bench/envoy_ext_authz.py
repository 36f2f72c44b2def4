"""Envoy that asks a minimal gRPC service in Python about every request: what people build who do not use Penstock."""

import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.envoy import FILTERS, EnvoyProxy, static_cluster
from bench.processes import BenchFailed, Process
from bench.wrk import Load, Target
from penstock_server.store.migration import migrate

__all__ = ["EnvoyExtAuthz"]

SERVICE = Path(__file__).with_name("ext_authz_service.py")


class EnvoyExtAuthz(EnvoyProxy):
    """Forwards what the service allows; the service commits the same audit row as Penstock does, the same way."""

    name = "http.envoy_ext_authz"
    ratio_to = "http.envoy"

    def __init__(self) -> None:
        super().__init__()
        self._service: Process | None = None
        self._database = Path()
        self._sockets = Path()

    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts the service on a Unix socket, as Penstock's is here, and Envoy."""
        self._database = folder / "audit.db"
        url = f"sqlite+aiosqlite:///{self._database}"
        migrate(url)
        self._sockets = Path(tempfile.mkdtemp(prefix="pst-"))  # the path of a Unix socket must be short
        path = str(self._sockets / "authz.sock")
        self._service = Process([sys.executable, str(SERVICE), path, url], folder / "service.log")
        self._service.await_address(socket.AF_UNIX, path)
        authz = {
            "name": "envoy.filters.http.ext_authz",
            "typed_config": {
                "@type": f"{FILTERS}.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "5s"},
            },
        }
        options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        cluster = static_cluster("authz", {"pipe": {"path": path}})
        cluster["typed_extension_protocol_options"] = {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
        target = self.start_envoy(folder, upstream_port, [authz], [cluster])
        return replace(target, pids=[*target.pids, self._service.pid])

    def verify(self, loads: Sequence[Load]) -> None:
        """Counts the audit entries: one a request, and at most one more for each connection that was cut at the end."""
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True) as connection:
            (entries,) = connection.execute("SELECT count(*) FROM audit_entry").fetchone()
        connection.close()
        requests = sum(load.requests for load in loads)
        cut = sum(load.connections for load in loads)
        if not requests <= entries <= requests + cut + 1:
            raise BenchFailed(f"{self.name}: {requests} requests, but {entries} audit entries")

    def stop(self) -> None:
        """Ends Envoy, then the service."""
        super().stop()
        if self._service is not None:
            self._service.stop()
        if self._sockets != Path():
            shutil.rmtree(self._sockets, ignore_errors=True)

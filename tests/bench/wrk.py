"""Loads one target with wrk, and reads what wrk found."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchFailed, cpu_s

__all__ = ["Load", "Target", "load", "read_report"]

REPORT = Path(__file__).with_name("report.lua")
TIMEOUT_S = 5
"""How long wrk waits for one answer, seconds; a slower one fails the benchmark."""
ERRORS = ("connect", "read", "write", "timeout", "status")


@dataclass(frozen=True, slots=True)
class Target:
    """Holds where to send requests, and the processes whose CPU they cost (with all their descendants)."""

    url: str
    pids: Sequence[int]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """Holds what one run of wrk found. requests: those answered in full; up to `connections` more were begun."""

    connections: int
    requests: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Returns requests per second."""
        return self.requests / self.duration_s

    @property
    def cpu_us(self) -> float:
        """Returns microseconds of CPU per request."""
        return self.cpu_s / self.requests * 1e6


def load(target: Target, *, connections: int, seconds: int) -> Load:
    """Runs wrk with one thread. Raises BenchFailed at any failed request and any answer that is not 2xx."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", f"{TIMEOUT_S}s"]
    command += ["-s", str(REPORT)]
    for name, value in target.headers.items():
        command += ["-H", f"{name}: {value}"]
    before = cpu_s(target.pids)
    done = subprocess.run(
        [*command, target.url], capture_output=True, text=True, timeout=seconds + TIMEOUT_S + 20, check=False
    )
    used = cpu_s(target.pids) - before
    if done.returncode:
        raise BenchFailed(f"wrk ended with {done.returncode} on {target.url}: {done.stderr.strip()}")
    time.sleep(0.2)  # lets what the load left behind come to an end before the next one
    return read_report(done.stdout, connections, used)


def read_report(output: str, connections: int, cpu: float) -> Load:
    """Returns what the line of report.lua says. Raises BenchFailed if it is not there, or tells of any error."""
    lines = [line for line in output.splitlines() if line.startswith("bench {")]
    if len(lines) != 1:
        raise BenchFailed(f"wrk did not report:\n{output}")
    report = json.loads(lines[0].removeprefix("bench "))
    failed = {name: report[name] for name in ERRORS if report[name]}
    if failed or not report["requests"]:
        raise BenchFailed(f"{report['requests']} requests were answered, these failed: {failed or 'all'}\n{output}")
    return Load(
        connections=connections,
        requests=report["requests"],
        duration_s=report["duration_us"] / 1e6,
        p50_ms=report["p50_us"] / 1e3,
        p99_ms=report["p99_us"] / 1e3,
        cpu_s=cpu,
    )

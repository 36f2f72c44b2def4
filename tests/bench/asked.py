"""The HTTP shim, asking for every request: audit, masking, recording and a credential on, as deployed, on SQLite."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.nginx import GUARDED, KEY, PERSONAL, PRIVATE
from bench.processes import BenchFailed
from bench.scenario import PATH, Scenario, fetch
from bench.wrk import Load, Target
from e2e.system import System
from penstock.v1 import recording_pb2

__all__ = ["Asked", "Kept", "shortfalls"]

POLICY = """\
secrets: [bench-key]
upstreams:
  bench:
    url: http://127.0.0.1:{port}
    addresses: private
    credential: {{secret: bench-key, header: x-api-key, format: "{{}}"}}
rules:
  - name: agents-read
    match: {{principals: [{{group: agents}}], upstreams: [bench], http: {{methods: [GET]}}}}
    effect: allow
  - name: mask-all
    match: {{upstreams: [bench]}}
    effect: mask
    mask: [{{detectors: [all]}}]
"""
SETTLE_S = 10.0
"""How long the last frames may take to be acknowledged, seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Holds what the service has on disk. decisions: all; masked: allows that demand a mask; calls: whole ones."""

    decisions: int
    masked: int
    calls: int


class Asked(Scenario):
    """Runs `penstock-server serve` and `penstock http` as real processes; their CPU is counted together."""

    name = "http.asked"
    ratio_to = "http.envoy_ext_authz"

    def __init__(self) -> None:
        self._system: System | None = None
        self.database = Path()
        """The service's SQLite file."""
        self._probes = 0

    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts both, and proves that credential and masks are at work."""
        self.database = folder / "penstock.db"
        self._system = System(folder, f"sqlite+aiosqlite:///{self.database}")
        try:
            self._system.start(POLICY.format(port=upstream_port), {"bench-key": KEY})
        except AssertionError as error:
            raise BenchFailed(f"{self.name}: {error}\n{self._logs(folder)}") from error
        assert self._system.shim is not None
        assert self._system.service is not None
        target = Target(
            url=f"{self._system.url}/bench{PATH}",
            pids=[self._system.shim.pid, self._system.service.pid],
            headers={"Authorization": f"Bearer {self._system.tokens['agent']}"},
        )
        self._probe(target)
        return target

    def _probe(self, target: Target) -> None:
        status, body = fetch(target, f"/bench{GUARDED}")
        if status != 200:
            raise BenchFailed(f"{self.name}: the credential did not reach the upstream: {status} {body!r}")
        status, body = fetch(target, f"/bench{PRIVATE}")
        if status != 200 or any(value.encode() in body for value in PERSONAL):
            raise BenchFailed(f"{self.name}: the answer is not masked: {status} {body!r}")
        self._probes += 2

    def verify(self, loads: Sequence[Load]) -> None:
        """Compares what the service keeps with what was asked; see shortfalls."""
        answered = sum(load.requests for load in loads) + self._probes
        cut = sum(load.connections for load in loads) + 1  # and the fetch before the loads
        deadline = time.monotonic() + SETTLE_S
        while (found := shortfalls(self._kept(), answered, cut)) and time.monotonic() < deadline:
            time.sleep(0.5)
        if found:
            raise BenchFailed(f"{self.name}: " + "; ".join(found))

    def _kept(self) -> Kept:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            decisions, masked = connection.execute(
                "SELECT count(*), coalesce(sum(header ->> '$.effect' = 'allow' AND body ->> '$.details.masks' >= 1), 0)"
                " FROM audit_entry WHERE log = 'main' AND kind = 'decision'"
            ).fetchone()
            batches = connection.execute("SELECT run_id, frames FROM frame_batch")
            return Kept(decisions, masked, _whole_calls(batches))

    def _logs(self, folder: Path) -> str:
        return "\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log")))

    def stop(self) -> None:
        """Ends shim and service."""
        if self._system is not None:
            self._system.stop()


def _whole_calls(batches: Iterable[tuple[str, bytes]]) -> int:
    """Returns of how many calls there is one request, one response and one outcome, which is "complete"."""
    whole = [Counter[str]() for _ in range(3)]
    seen = set()
    for run, batch in batches:
        for frame in recording_pb2.RecordRequest.FromString(batch).frames:
            if (run, frame.seq) in seen:
                continue
            seen.add((run, frame.seq))
            whole[0][frame.call_id] += frame.kind == recording_pb2.FRAME_KIND_REQUEST
            whole[1][frame.call_id] += frame.kind == recording_pb2.FRAME_KIND_RESPONSE
            whole[2][frame.call_id] += {"": 0, "complete": 1}.get(frame.outcome, 2)
    return sum(all(kind[call_id] == 1 for kind in whole) for call_id in whole[0])


def shortfalls(kept: Kept, answered: int, cut: int) -> list[str]:
    """Returns what is missing, where each answered request must have left an allow that demands masks, and frames.

    cut: how many requests may have been begun and not answered, because the load ended.
    """
    found = []
    if not answered <= kept.decisions <= answered + cut:
        found.append(f"{answered} requests were answered, but the audit log holds {kept.decisions} decisions")
    if kept.masked != kept.decisions:
        found.append(f"of {kept.decisions} decisions, only {kept.masked} are allows that demand masks")
    if not answered <= kept.calls <= answered + cut:
        found.append(f"{answered} requests were answered, but the recordings hold {kept.calls} complete calls")
    return found

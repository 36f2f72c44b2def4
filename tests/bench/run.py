"""Measures the data path beside nginx and Envoy; prints one table and writes build/bench.json. `make bench` runs it.

All scenarios stand beside each other, and are loaded in turn, round after round, so that the machine's noise hits all
alike. Absolute figures tell nothing between two runs; compare within one. The exit status is 0 only if every request
was answered with 2xx and every scenario proved that it did what it promises.

To add a scenario: a module with a Scenario, and its class in SCENARIOS. Other figures: append a Result in `main`.
"""

import signal
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.asked import Asked
from bench.commit import bare_commit_ms, group_commit_ms
from bench.envoy import EnvoyProxy
from bench.envoy_ext_authz import EnvoyExtAuthz
from bench.nginx import Direct, NginxProxy
from bench.processes import BenchFailed, free_port, program
from bench.results import Result, table, write_json
from bench.scenario import BODY, Scenario, fetch
from bench.wrk import Load, Target, load

__all__ = ["main"]

SCENARIOS: tuple[type[Scenario], ...] = (Direct, NginxProxy, EnvoyProxy, EnvoyExtAuthz, Asked)
"""In the order of the table; the first is the upstream of all others."""

ROUNDS = 3
CONNECTIONS = 32
LOAD_S = 4
SINGLE_S = 2
"""Length of a load with one connection, seconds."""
WARM_UP_S = 1

BUILD = Path(__file__).resolve().parents[2] / "build"


@dataclass(slots=True)
class Measured:
    """Holds a running scenario and its loads: warming up, with many connections, and with one; one each a round."""

    scenario: Scenario
    target: Target
    warm_up: Load
    many: list[Load] = field(default_factory=list)
    single: list[Load] = field(default_factory=list)


def main() -> int:
    """Returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes below are ended
    BUILD.mkdir(exist_ok=True)
    try:
        program("wrk", "wrk")
        with ExitStack() as stack:
            # Beside the checkout and not in /tmp, which may be memory: commits must reach a disk.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD)))
            found = _start(stack, folder)
            commits = _rounds(found)
            for measured in found:
                measured.scenario.verify([measured.warm_up, *measured.many, *measured.single])
    except BenchFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    results = [*_rates(found), *_latencies(found, commits)]
    print(f"\n{ROUNDS} rounds, {CONNECTIONS} connections, medians; {len(BODY)} bytes of JSON\n\n{table(results)}")
    write_json(results, BUILD / "bench.json")
    return 0


def _start(stack: ExitStack, folder: Path) -> list[Measured]:
    """Starts every scenario and warms it up."""
    upstream_port = free_port()
    found = []
    for kind in SCENARIOS:
        scenario = kind()
        _say(f"starting {scenario.name}")
        stack.callback(scenario.stop)
        own = folder / scenario.name
        own.mkdir()
        target = scenario.start(own, upstream_port)
        status, body = fetch(target)
        if (status, body) != (200, BODY):
            raise BenchFailed(f"{scenario.name} answers {status} {body!r}")
        found.append(Measured(scenario, target, load(target, connections=CONNECTIONS, seconds=WARM_UP_S)))
    return found


def _rounds(found: list[Measured]) -> list[tuple[float, float]]:
    """Loads all scenarios in turn; returns the times of one commit in each round, milliseconds: group commit, bare."""
    commits = []
    for number in range(1, ROUNDS + 1):
        for measured in found:
            measured.many.append(load(measured.target, connections=CONNECTIONS, seconds=LOAD_S))
            _say(f"round {number}  {measured.scenario.name}  {measured.many[-1].rate:,.0f}/s")
        for measured in found:
            measured.single.append(load(measured.target, connections=1, seconds=SINGLE_S))
            if isinstance(measured.scenario, Asked):
                database = measured.scenario.database
                commits.append((group_commit_ms(database), bare_commit_ms(database)))
    return commits


def _rates(found: list[Measured]) -> list[Result]:
    """Returns requests per second of each scenario; a ratio is the median of the ratios in each round."""
    named = {measured.scenario.name: measured for measured in found}
    results = []
    for name, measured in named.items():
        base = named.get(measured.scenario.ratio_to or "")
        pairs = zip(measured.many, base.many, strict=True) if base else ()
        ratios = [mine.rate / other.rate for mine, other in pairs]
        results.append(
            Result(
                name,
                statistics.median(one.rate for one in measured.many),
                "requests/s",
                ratio=statistics.median(ratios) if ratios else None,
                ratio_to=measured.scenario.ratio_to,
                p50_ms=statistics.median(one.p50_ms for one in measured.many),
                p99_ms=statistics.median(one.p99_ms for one in measured.many),
                cpu_us=statistics.median(one.cpu_us for one in measured.many),
                single_p50_ms=statistics.median(one.p50_ms for one in measured.single),
            )
        )
    return results


def _latencies(found: list[Measured], commits: list[tuple[float, float]]) -> list[Result]:
    """Returns what asking adds to the median latency of one connection, and how much of that one commit may be."""
    single = {measured.scenario.name: measured.single for measured in found}
    pairs = zip(single[Asked.name], single[Direct.name], strict=True)
    added = statistics.median(asked.p50_ms - direct.p50_ms for asked, direct in pairs)
    return [
        Result("http.added_p50_asked_ms", added, "ms"),
        Result("http.commit_p50_ms", statistics.median(group for group, _ in commits), "ms"),
        Result("http.bare_commit_p50_ms", statistics.median(bare for _, bare in commits), "ms"),
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

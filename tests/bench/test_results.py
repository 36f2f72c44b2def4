"""The benchmark's own logic: what counts as a failed load, what proves that the work was done, table and file."""

import json
import os
from pathlib import Path

import pytest

from bench.asked import Kept, shortfalls
from bench.processes import BenchFailed, cpu_s, program
from bench.results import Result, table, write_json
from bench.scenario import BODY
from bench.wrk import read_report

REPORT = (
    'bench {"requests": 8000, "duration_us": 4000000, "p50_us": 1250, "p99_us": 9000, '
    '"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}'
)
RESULTS = [
    Result("http.direct", 39123.456, "requests/s", p50_ms=0.8, p99_ms=2.0, cpu_us=12.0, single_p50_ms=0.05),
    Result("http.nginx", 20000.0, "requests/s", ratio=0.51123, ratio_to="http.direct", p50_ms=1.5),
    Result("http.commit_p50_ms", 0.2345, "ms"),
]


def test_a_report_becomes_rates_and_milliseconds() -> None:
    """The line of report.lua is found behind wrk's own output; CPU is spread over the requests."""
    load = read_report(f"Running 4s test @ http://127.0.0.1:1/\n  Latency 1.25ms\n{REPORT}\n", 32, 0.4)
    assert (load.rate, load.p50_ms, load.p99_ms) == (2000.0, 1.25, 9.0)
    assert load.cpu_us == pytest.approx(50.0)


@pytest.mark.parametrize("error", ["connect", "read", "write", "timeout", "status"])
def test_one_failed_request_fails_the_load(error: str) -> None:
    """A refused connection, a broken or late answer and any status that is not 2xx all make the figures worthless."""
    with pytest.raises(BenchFailed, match=f"'{error}': 1"):
        read_report(REPORT.replace(f'"{error}": 0', f'"{error}": 1'), 32, 0.4)


def test_a_load_without_answers_or_report_fails() -> None:
    """No answered request and no report are failures, not zero requests per second."""
    with pytest.raises(BenchFailed, match="these failed: all"):
        read_report(REPORT.replace("8000", "0"), 32, 0.4)
    with pytest.raises(BenchFailed, match="did not report"):
        read_report("wrk: something else\n", 32, 0.4)


def test_what_was_cut_off_at_the_end_may_be_kept_too() -> None:
    """The service may hold a decision and a recording for each request that the load did not wait for."""
    assert shortfalls(Kept(100, 100, 100), 100, 32) == []
    assert shortfalls(Kept(132, 132, 110), 100, 32) == []


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (Kept(99, 99, 100), "audit log holds 99"),
        (Kept(133, 133, 100), "audit log holds 133"),
        (Kept(100, 0, 100), "only 0 are allows"),
        (Kept(100, 100, 99), "recordings hold 99"),
    ],
)
def test_work_that_was_not_done_is_named(kept: Kept, words: str) -> None:
    """A request without its decision, its mask or its frames is not counted as served."""
    (found,) = shortfalls(kept, 100, 32)
    assert words in found


def test_the_table_aligns_figures_and_marks_what_was_not_measured() -> None:
    """Each figure has one line under the headings."""
    lines = table(RESULTS).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["http.direct", "http.nginx", "http.commit_p50_ms"]
    assert "39,123" in lines[2]
    assert lines[3].split() == ["http.nginx", "20,000", "requests/s", "0.51", "http.direct", "1.50", "-", "-", "-"]
    assert "0.234" in lines[4] or "0.235" in lines[4]
    assert lines[2].index("requests/s") == lines[3].index("requests/s")


def test_the_file_holds_name_value_unit_and_ratio(tmp_path: Path) -> None:
    """What later runs are compared by is a flat list with these five keys."""
    write_json(RESULTS, tmp_path / "build" / "bench.json")
    found = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert found[0] == {
        "name": "http.direct",
        "value": 39123.456,
        "unit": "requests/s",
        "ratio": None,
        "ratio_to": None,
    }
    assert found[1]["ratio"] == 0.5112
    assert found[1]["ratio_to"] == "http.direct"


def test_the_answer_has_the_size_that_figures_are_known_for() -> None:
    """All figures of the data path, here and in earlier measurements, are for 119 bytes of JSON."""
    assert len(BODY) == 119
    json.loads(BODY)


def test_a_missing_program_is_named_with_its_package() -> None:
    """Whoever lacks a program is told what to install."""
    with pytest.raises(BenchFailed, match="no-such-program not found: install the package some-package"):
        program("no-such-program", "some-package")


def test_cpu_time_is_that_of_the_process() -> None:
    """Work of this process shows in its CPU time."""
    before = cpu_s([os.getpid()])
    total = 0
    while cpu_s([os.getpid()]) < before + 0.02:
        total += 1
    assert total > 0

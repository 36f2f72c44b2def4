"""What the benchmark found: one Result a figure, all in one table and one file, whichever scenario they come from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Result", "table", "write_json"]


@dataclass(frozen=True, slots=True)
class Result:
    """Holds one figure. ratio: value by that of `ratio_to` in the same run; the rest is shown in the table only."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_to: str | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: float | None = None
    single_p50_ms: float | None = None
    """Median latency with one connection."""


HEADINGS = ("name", "value", "unit", "ratio", "to", "p50 ms", "p99 ms", "CPU µs", "p50 ms, 1 conn.")
TEXT_COLUMNS = (0, 2, 4)


def table(results: Sequence[Result]) -> str:
    """Returns all figures as one table, figures aligned to the right; what was not measured is a dash."""
    rows = [HEADINGS, *(_cells(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def write_json(results: Sequence[Result], path: Path) -> None:
    """Writes a list of {name, value, unit, ratio, ratio_to}; ratio and ratio_to are null where there is none."""
    figures = [
        {
            "name": result.name,
            "value": round(result.value, 4),
            "unit": result.unit,
            "ratio": None if result.ratio is None else round(result.ratio, 4),
            "ratio_to": result.ratio_to,
        }
        for result in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.name,
        f"{result.value:,.0f}" if result.value >= 100 else f"{result.value:.3f}",
        result.unit,
        _figure(result.ratio, 2),
        result.ratio_to or "-",
        _figure(result.p50_ms, 2),
        _figure(result.p99_ms, 2),
        _figure(result.cpu_us, 0),
        _figure(result.single_p50_ms, 3),
    )


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (
        cell.ljust(width) if column in TEXT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()

"""Writes down what became of each case: the bytes sent, the action judged, the bytes received."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Report", "Row"]

SHOWN = 700
"""Characters of a cell; the rest is counted."""

_HEAD = """\
# No way round

What a hostile agent sends, what was judged of it, and what came to the upstream; written by the tests in
`tests/integration/bypass/`. Where nothing came, the refusal says why. @AGENT@ stands for an agent's token.

"""


@dataclass(frozen=True)
class Row:
    """Holds one case. refusal: status and code of each answer that is one."""

    row: str
    name: str
    sent: str
    judged: str
    received: str
    refusal: str


@dataclass
class Report:
    """Collects rows."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Takes a row; one where nothing came must say why."""
        assert row.received or row.refusal, row.name
        self.rows.append(row)

    def write(self, path: Path) -> None:
        """Writes the table, in the order of the items."""
        lines = ["| item | case | sent | judged | received | refused with |", "| --- | --- | --- | --- | --- | --- |"]
        for row in self.rows:
            cells = (row.row, row.name, _code(row.sent), _code(row.judged), _code(row.received), row.refusal)
            lines.append("| " + " | ".join(cells) + " |")
        arrived = sum(bool(row.received) for row in self.rows)
        count = (
            f"{len(self.rows)} cases: {arrived} judged and received as judged, {len(self.rows) - arrived} refused.\n\n"
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(_HEAD + count + "\n".join(lines) + "\n")


def _code(text: str) -> str:
    """Returns text as a cell may hold it."""
    if not text:
        return ""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]} ... ({len(text)} characters)"
    return "`" + cut.replace("|", "\\|").replace("`", "'") + "`"

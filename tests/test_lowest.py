"""The lowest allowed versions: each direct dependency of both distributions has one, and the newest are pinned."""

import re
import tomllib
from pathlib import Path

import pytest

from lowest import lowest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("folder", [ROOT, ROOT / "shims"])
def test_every_dependency_has_a_lowest_version(folder: Path) -> None:
    """Without one, nobody has ever tried what is allowed."""
    text = (folder / "pyproject.toml").read_text()
    needs = [need for need in tomllib.loads(text)["project"]["dependencies"] if not need.startswith("penstock-shim==")]
    assert len(lowest(text)) == len(needs)


def test_extras_and_markers_are_left_out() -> None:
    """What is printed is what pip takes as constraints."""
    project = '[project]\ndependencies = ["a[b]>=1.2", "c-d>=3; python_version > \'3\'", "e==1"]'
    assert lowest(project) == ["a==1.2", "c-d==3"]
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", line) for line in lowest(project))

"""Prints the lowest version of each direct dependency that both distributions allow, as pip constraints."""

import re
import tomllib
from pathlib import Path

__all__ = ["lowest"]

ROOT = Path(__file__).resolve().parents[1]
_NEED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?>=([0-9.]+)")


def lowest(project: str) -> list[str]:
    """Returns "name==version" for each dependency with a lower bound in the text of a pyproject.toml."""
    needs = tomllib.loads(project)["project"]["dependencies"]
    return [f"{match[1]}=={match[2]}" for match in map(_NEED.match, needs) if match]


def main() -> None:
    """Prints the constraints of both distributions."""
    texts = [(folder / "pyproject.toml").read_text() for folder in (ROOT, ROOT / "shims")]
    print("\n".join(sorted({line for text in texts for line in lowest(text)})))


if __name__ == "__main__":
    main()

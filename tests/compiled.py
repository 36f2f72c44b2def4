"""Fails unless the penstock installed here is compiled as shims/pyproject.toml says, and nothing lies beside it.

In: the installed distribution. Out: exit status 1 and the modules in question. Run by the Makefile after it installed.
"""

import importlib
import importlib.machinery
import sys
import tomllib
from importlib.metadata import files
from pathlib import Path

SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)
PROJECT = Path(__file__).resolve().parents[1] / "shims" / "pyproject.toml"


def main() -> int:
    """Returns the exit status."""
    hook = tomllib.loads(PROJECT.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    names = [path.removesuffix(".py").replace("/", ".") for path in hook["include"]]
    plain = [name for name in names if not str(importlib.import_module(name).__file__).endswith(SUFFIXES)]
    strays = [
        str(path) for path in files("penstock-shim") or [] if path.suffix == ".so" and path.parts[0] != "penstock"
    ]
    for name in plain + strays:
        print(f"not as a compiled wheel should be: {name}", file=sys.stderr)
    return 1 if plain or strays or not names else 0


if __name__ == "__main__":
    sys.exit(main())

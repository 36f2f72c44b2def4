"""The structure of the repository: mirror tests, file sizes, versions, and the README of each folder."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 450
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGES = {"penstock_server": ROOT / "services" / "penstock_server", "penstock": ROOT / "shims" / "penstock"}

UNMIRRORED = {
    "__main__.py": "calls main and nothing else; every end-to-end test starts a process with it",
}
"""Names of source files that need no mirror test, each with its reason. A file without code needs none either."""


def _sources() -> list[Path]:
    """Returns every handwritten source file of both distributions."""
    generated = PACKAGES["penstock"] / "v1"
    return sorted(
        path for package in PACKAGES.values() for path in package.rglob("*.py") if not path.is_relative_to(generated)
    )


def _tests() -> list[Path]:
    return sorted(path for folder in ("tests", "migrations") for path in (ROOT / folder).rglob("*.py"))


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def _mirror(source: Path) -> Path:
    """Returns where the test of a source file must be: tests/unit/<package path>/test_<file>.py."""
    for name, package in PACKAGES.items():
        if source.is_relative_to(package):
            inner = source.relative_to(package)
            return ROOT / "tests" / "unit" / name / inner.parent / f"test_{_topic(inner)}.py"
    raise AssertionError(source)


def _topic(inner: Path) -> str:
    """Returns what a test is named for: the file, or for a package's own code in __init__.py, the package."""
    return inner.parent.name.lstrip("_") if inner.name == "__init__.py" else inner.stem.lstrip("_")


def _holds_code(source: Path) -> bool:
    """Tells whether a file holds a function with a body: neither names and values alone, nor Protocols."""
    functions = (node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, FUNCTIONS))
    return any(not _is_contract(statement) for function in functions for statement in function.body)


def _is_contract(statement: ast.stmt) -> bool:
    """Tells whether a statement is a docstring or an ellipsis."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_every_source_file_has_a_mirror_test() -> None:
    """A source file without tests/unit/<package path>/test_<file>.py is named here, unless nothing in it can run."""
    missing = [
        f"{source.relative_to(ROOT)} needs {_mirror(source).relative_to(ROOT)}"
        for source in _sources()
        if source.name not in UNMIRRORED and _holds_code(source) and not _mirror(source).exists()
    ]
    assert missing == []


def test_every_mirror_test_has_its_source() -> None:
    """A unit test whose source file is gone, or that is named for none, is found (test_FILE.py, test_FILE_TOPIC.py)."""
    stray = [
        path
        for path in (ROOT / "tests" / "unit").rglob("test_*.py")
        if not any(
            path.parent == mirror.parent and re.match(rf"{mirror.stem}(_|$)", path.stem)
            for mirror in map(_mirror, _sources())
        )
    ]
    assert [str(path.relative_to(ROOT)) for path in stray] == []


def test_no_file_is_too_long() -> None:
    """Files are split before they reach 450 lines; generated code is not counted."""
    counted = {path: len(path.read_text().splitlines()) for path in [*_sources(), *_tests()]}
    assert {str(path.relative_to(ROOT)): lines for path, lines in counted.items() if lines > MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    """Each source file begins with a docstring, unless it is empty."""
    silent = [path for path in _sources() if path.read_text().strip() and not path.read_text().startswith('"""')]
    assert [str(path.relative_to(ROOT)) for path in silent] == []


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "misc"])
def test_no_file_is_named_for_nothing(word: str) -> None:
    """A file is named for the thing in it."""
    assert [str(path) for path in _sources() if word in path.stem.lower().split("_")] == []


def test_both_distributions_have_one_version() -> None:
    """The server demands exactly the shim of its own version, and the changelog tells of it."""
    server, shim = _project(ROOT), _project(ROOT / "shims")
    assert server["version"] == shim["version"]
    assert f"penstock-shim=={shim['version']}" in server["dependencies"]
    assert f"\n## {server['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_thin_distribution_stays_thin() -> None:
    """An agent's container never gets the policy service's dependencies."""
    heavy = ("sqlalchemy", "alembic", "penstock-server", "pyyaml", "joserfc", "cel-expr-python", "asyncpg", "aiosqlite")
    assert [need for need in _project(ROOT / "shims")["dependencies"] if need.lower().startswith(heavy)] == []


@pytest.mark.parametrize("folder", [".", "services", "shims", "protos", "migrations", "tests"])
def test_every_folder_has_a_readme(folder: str) -> None:
    """Each top-level folder explains itself in a README of some substance."""
    assert len((ROOT / folder / "README.md").read_text().splitlines()) >= 10


def test_dependencies_are_pinned() -> None:
    """Every direct dependency has a pin in constraints.txt, and no line of it names an address or a path."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line)] == []
    pinned = {_normal(line.partition("==")[0]) for line in lines}
    server = _project(ROOT)
    wanted = [
        *server["dependencies"],
        *server["optional-dependencies"]["dev"],
        *server["optional-dependencies"]["agents"],
        *_project(ROOT / "shims")["dependencies"],
    ]
    names = {_normal(re.split(r"[\[<>=;~! ]", need, maxsplit=1)[0]) for need in wanted} - {"penstock-shim"}
    assert names - pinned == set()


def test_every_gate_is_run() -> None:
    """What is configured is run by `make test`: format, lint, types, import contracts, generated code, tests."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert {"ruff", "mypy", "importlinter", "pytest"} <= tools.keys()
    assert tools["mypy"]["strict"] is True
    makefile = (ROOT / "Makefile").read_text()
    for gate in ("ruff format --check", "ruff check", "/mypy", "lint-imports", "-m pytest"):
        assert gate in makefile
    assert re.search(r"^test: check drift", makefile, re.MULTILINE)


def _normal(name: str) -> str:
    """Returns a distribution's name in normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()

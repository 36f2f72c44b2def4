"""Fuzz target (atheris, libFuzzer): any bytes at all as what an agent sends; `make fuzz`, or bounded `make test-fuzz`.

The first byte of an input is the size of the pieces it comes in, 0 for one piece. What must hold is in
property/fuzzed_connection.py; inputs start from the cases of integration/bypass. Arguments are libFuzzer's own. A
finding is kept in build/fuzz; give its file as the only argument to see it again.
"""

import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["penstock"]):
    from integration.bypass import heads, paths, sequences, smuggling
    from property.fuzzed_connection import require_found

FOUND = ROOT / "build" / "fuzz"
TOKEN = b"agent-" + b"of-the-fuzz-target"


def one_input(data: bytes) -> None:
    """Plays one input; raises AssertionError for what must not be."""
    size, stream = (data[0], data[1:]) if data else (0, b"")
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)] if size else [stream]
    require_found(stream, pieces)


def write_seeds(folder: Path) -> None:
    """Writes the streams of known attempts, whole and in pieces."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case for each in (smuggling, paths, heads, sequences) for case in each.CASES]
    for number, case in enumerate(cases):
        stream = b"".join(case.pieces).replace(b"/b/", b"/billing/").replace(b"@AGENT@", TOKEN)
        if len(stream) < 4096:
            (folder / f"case{number}").write_bytes(bytes([number % 3 * 7]) + stream)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if all(argument.startswith("-") for argument in arguments):
        write_seeds(FOUND / "seeds")
        (FOUND / "corpus").mkdir(exist_ok=True)
        arguments += [str(FOUND / "corpus"), str(FOUND / "seeds")]
    atheris.Setup([sys.argv[0], f"-artifact_prefix={FOUND}/", "-max_len=6000", *arguments], one_input)
    atheris.Fuzz()

"""The file DIR/dev.json: where a development set-up serves, and the tokens for each role."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.cli.failure import ExitCode, Failure

__all__ = ["NAME", "DevFile", "read", "write", "write_private"]

NAME = "dev.json"
"""File name within the data folder."""


@dataclass(frozen=True, slots=True)
class DevFile:
    """Holds the service's address, the HTTP shim's URL, and one token a role."""

    service: str
    http: str
    tokens: dict[str, str] = field(repr=False)


def read(folder: Path) -> DevFile:
    """Returns what DIR/dev.json says. Raises Failure if there is no such file, or it was not written by dev."""
    path = folder / NAME
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        tokens = {str(role): str(token) for role, token in value["tokens"].items()}
        return DevFile(str(value["service"]), str(value["http"]), tokens)
    except FileNotFoundError:
        raise Failure(f"{path} does not exist: start penstock-server dev --data {folder}", ExitCode.USAGE) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failure(f"{path} was not written by penstock-server dev", ExitCode.USAGE) from None


def write(folder: Path, content: DevFile) -> None:
    """Writes DIR/dev.json, mode 0600, whole or not at all."""
    value = {"service": content.service, "http": content.http, "tokens": content.tokens}
    write_private(folder / NAME, json.dumps(value, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read (0600), by renaming, so that a reader never meets half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

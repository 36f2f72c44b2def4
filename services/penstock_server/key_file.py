"""Reads or makes a key file of random bytes that only its owner may read."""

import os
import secrets
from pathlib import Path

from penstock_server.domain.errors import Code, PenstockError

__all__ = ["KEY_BYTES", "read_or_make_key"]

KEY_BYTES = 32
"""Length of a key in bytes (AES-256, Ed25519 seed)."""


def read_or_make_key(path: Path) -> bytes:
    """Returns the 32 bytes in the file (hexadecimal text), making it with mode 0600 first if it does not exist.

    Raises INVALID (KEY_FILE_UNSAFE) if others may read it, INVALID (KEY_FILE_BROKEN) if it is not 64 digits.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return _read(path)


def _read(path: Path) -> bytes:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise PenstockError(
            Code.INVALID,
            "KEY_FILE_UNSAFE",
            f"{path} may be read by others (mode {mode:o}): run chmod 600, and replace it if others had access",
        )
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise PenstockError(
            Code.INVALID, "KEY_FILE_BROKEN", f"{path} does not hold a key of 64 hexadecimal digits: restore it"
        )
    return key

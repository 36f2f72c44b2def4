"""Seals secrets: each version under a data key of its own, the data key under the key-encryption key (AES-256-GCM)."""

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock_server.domain.audit import canonical_json
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.key_file import KEY_BYTES, read_or_make_key
from penstock_server.operations.environment import Secret
from penstock_server.operations.interfaces import SecretRow

__all__ = ["Keyring"]

NONCE_BYTES = 12
"""Length of a GCM nonce (NIST SP 800-38D); random, one for each data key and wrap."""

KEY_FILE = "kek.key"
"""Name of the key-encryption key's file in the data folder."""


class Keyring:
    """Implements operations.environment.Vault over one key-encryption key of 32 bytes."""

    def __init__(self, kek: bytes) -> None:
        self._kek = AESGCM(kek)
        self._kek_id = hashlib.sha256(b"penstock kek id v1" + kek).hexdigest()[:16]
        self._mask_root = hmac.digest(kek, b"penstock mask root v1", "sha256")

    @classmethod
    def open_folder(cls, data: Path) -> "Keyring":
        """Returns the keyring of a data folder, making its key file at the first start. Raises INVALID."""
        return cls(read_or_make_key(data / KEY_FILE))

    def seal(self, *, name: str, version: int, hosts: tuple[str, ...], value: bytes, now_ms: int) -> SecretRow:
        """Returns the encrypted row; name, version and hosts are authenticated with it."""
        bound = _bound(name, version, hosts)
        data_key = os.urandom(KEY_BYTES)
        return SecretRow(
            name=name,
            version=version,
            hosts=hosts,
            ciphertext=_encrypt(AESGCM(data_key), value, bound),
            wrapped_key=_encrypt(self._kek, data_key, bound),
            kek_id=self._kek_id,
            created_at_ms=now_ms,
        )

    def open(self, row: SecretRow) -> Secret:
        """Returns the secret. Raises UNAVAILABLE (SECRET_UNREADABLE)."""
        bound = _bound(row.name, row.version, row.hosts)
        try:
            data_key = _decrypt(self._kek, row.wrapped_key, bound)
            value = _decrypt(AESGCM(data_key), row.ciphertext, bound)
        except (InvalidTag, ValueError):
            why = "was changed" if row.kek_id == self._kek_id else f"needs key {row.kek_id}, here is {self._kek_id}"
            raise PenstockError(
                Code.UNAVAILABLE,
                "SECRET_UNREADABLE",
                f"secret {row.name} v{row.version} cannot be opened: it {why}; "
                f"restore {KEY_FILE} or put it anew: what uses it is denied until then",
            ) from None
        return Secret(name=row.name, version=row.version, hosts=row.hosts, value=value)

    def mask_key(self, upstream: str, principal: Principal) -> bytes:
        """Returns the key of mask tokens for one upstream and principal, 32 bytes."""
        scope = canonical_json([upstream, principal.issuer, principal.subject]).encode()
        return hmac.digest(self._mask_root, scope, "sha256")


def _bound(name: str, version: int, hosts: tuple[str, ...]) -> bytes:
    """Returns what is authenticated beside the value, so that rows cannot be swapped nor hosts added by SQL."""
    return canonical_json(["penstock secret v1", name, version, list(hosts)]).encode()


def _encrypt(key: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound)


def _decrypt(key: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)

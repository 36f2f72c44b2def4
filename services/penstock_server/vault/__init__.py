"""Keys at rest: the key-encryption key file, and secrets sealed under it with AES-256-GCM."""

from penstock_server.vault.keyring import Keyring

__all__ = ["Keyring"]

"""The development issuer: an Ed25519 key in the data folder that signs short-lived JWTs (RFC 7519, RFC 8037)."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import OKPKey

from penstock_server.key_file import read_or_make_key

__all__ = ["ALGORITHM", "AUDIENCE", "DEV_ISSUER", "DevIssuer"]

DEV_ISSUER = "urn:penstock:dev"
"""The iss claim of the development issuer."""

AUDIENCE = "penstock"
"""The aud claim that the service demands."""

ALGORITHM = "Ed25519"
"""The only algorithm of the development issuer's key (RFC 9864)."""

KEY_FILE = "issuer.key"
"""Name of the signing key's file in the data folder."""


class DevIssuer:
    """Implements operations.environment.TokenIssuer; `key` also verifies."""

    def __init__(self, seed: bytes) -> None:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key = OKPKey.import_key(pem)

    @classmethod
    def open(cls, data: Path) -> "DevIssuer":
        """Returns the issuer of a data folder, making its key at the first start. Raises INVALID."""
        return cls(read_or_make_key(data / KEY_FILE))

    def issue(self, *, subject: str, groups: Sequence[str], owner: str, ttl_s: int, now_ms: int) -> str:
        """Returns a compact JWS that holds for ttl_s seconds."""
        issued = now_ms // 1000
        claims: dict[str, object] = {
            "iss": DEV_ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "groups": sorted(set(groups)),
            "iat": issued,
            "exp": issued + ttl_s,
            "jti": secrets.token_hex(16),
        }
        if owner:
            claims["owner"] = owner
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, self.key, algorithms=[ALGORITHM])

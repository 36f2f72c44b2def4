"""Verifies tokens: exact issuer and audience, the key's own algorithm, expiry. What was verified once is remembered."""

import hashlib
from collections import OrderedDict
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.identity.dev_issuer import ALGORITHM, AUDIENCE, DEV_ISSUER

__all__ = ["Verifier"]

MAX_TOKEN_BYTES = 8192
"""Longest token in bytes that is looked at: one header line of common servers."""

MAX_CACHED = 4096
"""Tokens whose verification is remembered."""

MAX_SKEW_MS = 60_000
"""How far in the future a token may have been issued, milliseconds (RFC 7519 section 4.1.4: a few minutes at most)."""


class Verifier:
    """Implements operations.environment.TokenVerifier for the development issuer's key."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key
        self._seen: OrderedDict[bytes, Principal] = OrderedDict()

    def verify(self, token: str, now_ms: int) -> Principal:
        """Returns the principal. Raises UNAUTHENTICATED: TOKEN_MISSING, TOKEN_EXPIRED, TOKEN_INVALID."""
        if not token:
            raise _refusal(
                "TOKEN_MISSING",
                "no token was sent in a header that this upstream takes it from (token_from in the policy)",
            )
        digest = hashlib.sha256(token.encode()).digest()
        principal = self._seen.get(digest)
        if principal is None:
            principal = self._read(token, now_ms)
            self._seen[digest] = principal
            if len(self._seen) > MAX_CACHED:
                self._seen.popitem(last=False)
        if now_ms >= principal.expires_at_ms:
            raise _refusal("TOKEN_EXPIRED", "the token has expired: get a new one, `penstock-server token issue`")
        return principal

    def _read(self, token: str, now_ms: int) -> Principal:
        if len(token) > MAX_TOKEN_BYTES:
            raise _invalid()
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError):
            raise _invalid() from None
        claims = decoded.claims
        if decoded.header.get("crit") or claims.get("iss") != DEV_ISSUER or claims.get("aud") != AUDIENCE:
            raise _invalid()
        return _principal(claims, now_ms)


def _principal(claims: dict[str, Any], now_ms: int) -> Principal:
    subject, groups, owner = claims.get("sub"), claims.get("groups", []), claims.get("owner", "")
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not isinstance(subject, str) or not subject or not isinstance(owner, str):
        raise _invalid()
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _invalid()
    if not all(isinstance(at, int) and not isinstance(at, bool) for at in (expires, issued, not_before)):
        raise _invalid()
    if max(issued, not_before) * 1000 > now_ms + MAX_SKEW_MS:
        raise _invalid()
    return Principal(
        issuer=DEV_ISSUER,
        subject=subject,
        groups=frozenset(groups),
        owner=owner,
        session=claims["jti"] if isinstance(claims.get("jti"), str) else "",
        expires_at_ms=expires * 1000,  # type: ignore[operator] # checked to be an integer above
    )


def _invalid() -> PenstockError:
    return _refusal("TOKEN_INVALID", "the token is not one that this service accepts: check where it came from")


def _refusal(reason: str, message: str) -> PenstockError:
    return PenstockError(Code.UNAUTHENTICATED, reason, message)

"""Issues tokens of the development issuer."""

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.operations.environment import Clock, TokenIssuer
from penstock_server.operations.journal import Journal

__all__ = ["DEFAULT_TTL_S", "MAX_TTL_S", "Tokens"]

DEFAULT_TTL_S = 3600
"""Lifetime of a token if nobody says otherwise, seconds."""
MAX_TTL_S = 30 * 24 * 3600
"""Longest lifetime of a token, seconds: thirty days."""
MAX_NAME = 200
"""Longest subject, owner or group, characters."""


class Tokens:
    """Issues tokens and logs each, without its text."""

    def __init__(self, issuer: TokenIssuer, journal: Journal, clock: Clock) -> None:
        self._issuer = issuer
        self._journal = journal
        self._clock = clock

    async def issue(
        self, caller: Principal, *, subject: str, groups: tuple[str, ...], owner: str, ttl_s: int
    ) -> tuple[str, int]:
        """Returns a token and the end of its validity in UTC milliseconds. Raises INVALID."""
        ttl_s = ttl_s or DEFAULT_TTL_S
        names = (subject, *groups, *([owner] if owner else []))
        if not all(0 < len(name) <= MAX_NAME and name.isprintable() for name in names):
            raise PenstockError(
                Code.INVALID, "TOKEN_NAMES", f"subject, groups and owner have 1 to {MAX_NAME} printable characters each"
            )
        if ttl_s > MAX_TTL_S:
            raise PenstockError(Code.INVALID, "TOKEN_TTL", f"a token lives at most {MAX_TTL_S} s: ask for less")
        now = self._clock()
        details = {"subject": subject, "groups": list(groups), "owner": owner, "ttl_s": ttl_s}
        async with self._journal.doing("token.issue", "token.issued", caller, details=details):
            token = self._issuer.issue(subject=subject, groups=groups, owner=owner, ttl_s=ttl_s, now_ms=now)
        return token, (now // 1000 + ttl_s) * 1000

"""Ports for what is neither the database nor pure: time, ids, identity, keys, the policy compiler, secret redaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from penstock_server.domain.policy import Policy
from penstock_server.domain.principal import Principal
from penstock_server.operations.interfaces import SecretRow

__all__ = ["Clock", "CompiledPolicy", "NewId", "PolicyCompiler", "Secret", "TokenIssuer", "TokenVerifier", "Vault"]

Clock = Callable[[], int]
"""Returns UTC milliseconds."""

NewId = Callable[[str], str]
"""Returns a new unguessable id with that prefix, e.g. "dec_..."."""


class TokenVerifier(Protocol):
    """Verifies tokens of people and agents."""

    def verify(self, token: str, now_ms: int) -> Principal:
        """Returns the principal. Raises UNAUTHENTICATED: TOKEN_MISSING, TOKEN_EXPIRED or TOKEN_INVALID."""
        ...


class TokenIssuer(Protocol):
    """Issues tokens of the service's own issuer."""

    def issue(self, *, subject: str, groups: Sequence[str], owner: str, ttl_s: int, now_ms: int) -> str:
        """Returns a compact JWS."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """Holds one opened secret, in memory only. hosts: "host" or "host:port" that it may be sent to."""

    name: str
    version: int
    hosts: tuple[str, ...]
    value: bytes = field(repr=False)


class Vault(Protocol):
    """Seals and opens secrets under the key-encryption key, and derives the keys of mask tokens from it."""

    def seal(self, *, name: str, version: int, hosts: tuple[str, ...], value: bytes, now_ms: int) -> SecretRow:
        """Returns the encrypted row; name, version and hosts are authenticated with it."""
        ...

    def open(self, row: SecretRow) -> Secret:
        """Returns the secret. Raises UNAVAILABLE (SECRET_UNREADABLE) if the key is another or the row was changed."""
        ...

    def mask_key(self, upstream: str, principal: Principal) -> bytes:
        """Returns 32 bytes: the key of mask tokens for one upstream and principal, the same at every start."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """Holds a document that was accepted, and the linter's remarks."""

    policy: Policy
    warnings: tuple[str, ...] = ()


class PolicyCompiler(Protocol):
    """Turns a policy document into rules."""

    def __call__(self, document: str) -> CompiledPolicy:
        """Returns the policy. Raises INVALID (POLICY_INVALID) with every problem and its line."""
        ...

"""Bounds of the data path. All are positive; sizes in bytes, times in seconds. A configuration may change any."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds the limits of one shim; the comments name what the defaults follow."""

    max_connections: int = 4096
    """Agents' connections; further ones are closed at once."""
    max_head_bytes: int = 65536
    """Largest head of a request or an answer (Envoy: 60 KiB, Node: 16 KiB)."""
    max_headers: int = 100
    """Most fields of a head (Envoy and nginx: 100)."""
    max_spooled_bytes: int = 256 * 1024 * 1024
    """Request bodies that wait in memory, all together."""
    head_timeout_s: float = 15.0
    """From the first byte of a head to its end."""
    body_timeout_s: float = 60.0
    """Between two pieces of a request's body (nginx: client_body_timeout)."""
    idle_timeout_s: float = 75.0
    """Of an agent's connection between two requests (nginx: keepalive_timeout)."""
    connect_timeout_s: float = 10.0
    """To reach an upstream, name resolution and TLS included."""
    answer_timeout_s: float = 600.0
    """To the head of an answer: models think for minutes (anthropic and openai SDKs: 600)."""
    stream_timeout_s: float = 600.0
    """Between two pieces of an answer, and for an agent that does not read."""
    upstream_idle_s: float = 15.0
    """Of a kept connection to an upstream; below the shortest keep-alive that servers usually have."""
    max_hold_s: float = 300.0
    """Longest hold for an approval, whatever the rule says."""

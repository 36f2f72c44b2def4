"""Opens gRPC channels to the policy service: Unix socket, plain loopback, or TLS everywhere else."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

__all__ = ["Address", "bearer", "open_channel", "open_sync_channel", "parse_address"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest message either way: a whole body of 8 MiB and its head fit twice; gRPC's own default is 4 MiB."""
KEEPALIVE_MS = 30_000
"""Milliseconds between pings over TCP; the service's grpc.http2.min_ping_interval_without_data_ms must allow it."""
KEEPALIVE_TIMEOUT_MS = 5_000
"""A ping that is not answered within this many milliseconds ends the connection."""

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # a proxy variable of the environment must not see asks
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # in spite of its name: the least time that one connection attempt gets
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Says where the service listens. target: as gRPC takes it. local: a Unix socket or a loopback address."""

    target: str
    unix: bool
    local: bool


def parse_address(text: str) -> Address:
    """Reads "unix:PATH" or "HOST:PORT" (IPv6 in brackets); raises ValueError that says what is wrong."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or path.endswith("/"):
            raise ValueError(f"{text!r}: a Unix socket is written unix:/path/to/socket")
        return Address(f"unix:{Path(path).absolute()}", unix=True, local=True)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or ("/" in text) or (":" in bare and bare == host):
        raise ValueError(f"{text!r}: write unix:/path or HOST:PORT")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r}: the port must be a number from 1 to 65535")
    return Address(f"dns:///{text}", unix=False, local=is_loopback(bare))


def is_loopback(host: str) -> bool:
    """Returns True for "localhost" and addresses of the loopback networks."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of every call; raises ValueError on a token that no header can carry."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty or holds characters that a token cannot have")
    return (("authorization", f"Bearer {token}"),)


def _prepare(
    address: str, ca: Path | None
) -> tuple[Address, grpc.ChannelCredentials | None, list[tuple[str, str | int]]]:
    """Returns the address, credentials (None: plain) and options; raises ValueError, OSError if `ca` is unreadable."""
    parsed = parse_address(address)
    options = list(_OPTIONS)
    if parsed.unix:
        if ca is not None:
            raise ValueError("a Unix socket has no TLS: leave the CA file out")
        return parsed, None, options
    options += [("grpc.keepalive_time_ms", KEEPALIVE_MS), ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS)]
    if parsed.local and ca is None:
        return parsed, None, options
    roots = ca.read_bytes() if ca is not None else None
    if roots is not None and b"-----BEGIN CERTIFICATE-----" not in roots:
        raise ValueError(f"{ca}: holds no certificate in PEM form")
    return parsed, grpc.ssl_channel_credentials(roots), options


def open_channel(address: str, ca: Path | None = None) -> grpc.aio.Channel:
    """Opens an asyncio channel; TLS always off loopback, and on loopback if a CA file is given.

    Call it on a running loop. It connects lazily. Raises ValueError or OSError on a bad address or CA file.
    """
    parsed, credentials, options = _prepare(address, ca)
    if credentials is None:
        return grpc.aio.insecure_channel(parsed.target, options=options)
    return grpc.aio.secure_channel(parsed.target, credentials, options=options)


def open_sync_channel(address: str, ca: Path | None = None) -> grpc.Channel:
    """Opens a synchronous channel by the same rules, for commands."""
    parsed, credentials, options = _prepare(address, ca)
    if credentials is None:
        return grpc.insecure_channel(parsed.target, options=options)
    return grpc.secure_channel(parsed.target, credentials, options=options)

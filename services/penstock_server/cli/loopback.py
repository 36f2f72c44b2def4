"""Tells whether an address stays on this machine."""

import ipaddress

__all__ = ["is_loopback"]


def is_loopback(address: str) -> bool:
    """Tells whether HOST:PORT is "localhost" or a loopback address, IPv6 in brackets. Names are not resolved."""
    host = address.rpartition(":")[0]
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

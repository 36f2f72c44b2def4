"""Says which addresses a shim may connect to: an upstream's name must not lead into the shim's own network.

In: addresses that a name resolved to. Out: permitted or not. Addresses that carry another one inside (IPv4-mapped,
NAT64, 6to4, Teredo) are judged by what is inside as well. Source: IANA's special-purpose registries, in `ipaddress`.
"""

import ipaddress

__all__ = ["is_permitted"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CARRIERS = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"))
"""Networks whose addresses end in an IPv4 address: NAT64 (RFC 6052, RFC 8215), IPv4-compatible (RFC 4291) and
IPv4-translated (RFC 2765)."""
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
"""Where clouds hand out credentials; never an upstream, not even a private one."""


def is_permitted(address: str, *, private: bool) -> bool:
    """Returns whether an address literal may be connected to. private: loopback and private networks are meant."""
    try:
        outer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_permitted(each, private=private) for each in (outer, *_inside(outer)))


def _is_permitted(address: _Address, *, private: bool) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return private  # deprecated (RFC 3879), and "global" to the library
    if address in _METADATA or address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if address.is_global:
        return True
    return private and (address.is_loopback or address.is_private)


def _inside(address: _Address) -> list[_Address]:
    """Returns the addresses that an IPv6 address carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[_Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _CARRIERS):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]

"""What counts as this machine."""

import pytest

from penstock_server.cli.loopback import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.9.10:1", "localhost:1", "[::1]:1"])
def test_loopback_addresses(address: str) -> None:
    """Literal loopback addresses and "localhost" stay here."""
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1:1", "0.0.0.0:1", "[::]:1", "localhost.example.com:1", "127.0.0.1.example.com:1", "127.1:1", "", ":1"],
)
def test_everything_else_does_not(address: str) -> None:
    """A name that only looks like loopback, and an address that hears every interface, are not."""
    assert not is_loopback(address)

"""Addresses that a name resolved to: which may be connected to."""

import pytest

from penstock._core.addresses import is_permitted


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"])
@pytest.mark.parametrize("private", [False, True])
def test_public_addresses_are_permitted(address: str, private: bool) -> None:
    """Whether or not private ones are meant, and also where they carry another public address inside."""
    assert is_permitted(address, private=private)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.10", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fd12:3456::1"],
)
def test_private_addresses_need_to_be_meant(address: str) -> None:
    """Loopback and private networks take `addresses: private` in the policy."""
    assert not is_permitted(address, private=False)
    assert is_permitted(address, private=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "::ffff:100.100.100.200",
        "2001:0:a9fe:a9fe::1",
        "64:ff9b:1::a9fe:a9fe",
        "::a9fe:a9fe",
        "::ffff:0:169.254.169.254",
        "2001:0:808:808::5601:5601",
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_metadata_services_are_never_an_upstream(address: str, private: bool) -> None:
    """They hand out the credentials of the machine; wrapping their address in another one helps nobody."""
    assert not is_permitted(address, private=private)


@pytest.mark.parametrize("address", ["169.254.1.1", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1"])
@pytest.mark.parametrize("private", [False, True])
def test_link_local_multicast_and_unspecified_are_never_permitted(address: str, private: bool) -> None:
    """Nobody means these as an upstream."""
    assert not is_permitted(address, private=private)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001:0:7f00:1::1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "::a00:1",
        "fec0::1",
        "64:ff9b:1::7f00:1",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "2001:db8::1",
        "0.1.2.3",
    ],
)
def test_what_is_not_on_the_internet_is_not_public(address: str) -> None:
    """A private address inside of a public-looking one is found; reserved ranges are no upstream either."""
    assert not is_permitted(address, private=False)


@pytest.mark.parametrize(
    "text",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "8.8.8.8.",
        "8.8.8.8 ",
        " 8.8.8.8",
        "08.8.8.8",
        "8.8.8.8/32",
        "[::1]",
        "billing.example",
        "localhost",
        "",
        "%eth0",
        "\u0661.8.8.8",
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_decimal_octal_and_hex_forms_are_no_addresses(text: str, private: bool) -> None:
    """Only what a resolver returned counts; a literal that C libraries read and others do not is refused."""
    assert not is_permitted(text, private=private)

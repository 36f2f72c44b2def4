"""Upstreams are named in one way by both sides."""

import pytest

from penstock._core.describe import authority_of


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Api.Example/base", "api.example"),
        ("https://api.example:443", "api.example"),
        ("http://api.example:80/", "api.example"),
        ("http://api.example:443", "api.example:443"),
        ("https://api.example:8443", "api.example:8443"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://[::1]:9000", "[::1]:9000"),
        ("https://[2001:DB8::1]", "[2001:db8::1]"),
    ],
)
def test_an_authority_is_the_host_as_it_is_forwarded(url: str, authority: str) -> None:
    """Lower case, without the scheme's default port."""
    assert authority_of(url) == authority

"""Addresses of the service, and what they demand."""

from pathlib import Path

import pytest

from penstock._client.channel import _prepare, bearer, open_channel, open_sync_channel, parse_address


@pytest.mark.parametrize(
    ("text", "target", "local"),
    [
        ("unix:/run/penstock.sock", "unix:/run/penstock.sock", True),
        ("127.0.0.1:50051", "dns:///127.0.0.1:50051", True),
        ("localhost:1", "dns:///localhost:1", True),
        ("[::1]:50051", "dns:///[::1]:50051", True),
        ("penstock.example.com:443", "dns:///penstock.example.com:443", False),
        ("10.0.0.1:50051", "dns:///10.0.0.1:50051", False),
        ("localhost.example.com:1", "dns:///localhost.example.com:1", False),
    ],
)
def test_an_address_is_read(text: str, target: str, local: bool) -> None:
    """Only Unix sockets and loopback addresses are local."""
    address = parse_address(text)
    assert (address.target, address.local) == (target, local)


def test_a_socket_may_be_named_from_here() -> None:
    """A relative path is made absolute, so that it means the same when the channel connects later."""
    assert parse_address("unix:data/s.sock").target == f"unix:{Path.cwd() / 'data/s.sock'}"


@pytest.mark.parametrize(
    "text",
    ["", "unix:", "unix:/", "unix:x/", "host", "host:", ":1", "host:0", "host:65536", "host:x", "::1:5", "a/b:1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """The message repeats what was given."""
    with pytest.raises(ValueError, match=r"write|written|port"):
        parse_address(text)


@pytest.mark.parametrize("token", ["", "a b", "a\n", "ü", "a\x00"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(token: str) -> None:
    """The token itself is never part of the message."""
    with pytest.raises(ValueError, match="the token") as refused:
        bearer(token)
    assert not token or token not in str(refused.value)


def test_a_ca_file_must_hold_a_certificate(tmp_path: Path) -> None:
    """An empty or missing file is an error at once, not at the first connection; a Unix socket takes none."""
    empty = tmp_path / "ca.pem"
    empty.touch()
    with pytest.raises(ValueError, match="no certificate"):
        open_sync_channel("example.com:443", empty)
    with pytest.raises(FileNotFoundError):
        open_sync_channel("example.com:443", tmp_path / "missing")
    with pytest.raises(ValueError, match="Unix socket"):
        open_sync_channel("unix:/x", empty)


def test_off_loopback_the_channel_is_encrypted() -> None:
    """Plain channels exist for local addresses only."""
    for address, secure in [
        ("example.com:443", True),
        ("10.0.0.1:1", True),
        ("127.0.0.1:1", False),
        ("unix:/x", False),
    ]:
        assert (_prepare(address, None)[1] is not None) is secure


@pytest.mark.anyio
async def test_both_kinds_of_channel_open_without_connecting() -> None:
    """Nothing has to listen yet."""
    for address in ("example.com:443", "unix:/x"):
        await open_channel(address).close()
        open_sync_channel(address).close()

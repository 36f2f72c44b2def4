"""Heads of requests: where the agent's token is read, and where it must not be."""

import pytest

from penstock._core.incoming import IDENTITY, Incoming, read_head
from penstock._core.refusal import Refusal, RefusedError
from unit.penstock._core.fake_sides import TOKEN, an_upstream, mounts

HOST = ("Host", "shim.example")


def read(
    *headers: tuple[str, str], method: str = "GET", target: str = "/billing/v1/things", version: str = "1.1"
) -> Incoming:
    """Returns the request with exactly these headers."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return read_head(method.encode(), target.encode(), version, raw, mounts(an_upstream()))


def refused(*headers: tuple[str, str], **line: str) -> Refusal:
    """Returns the refusal of a request with exactly these headers."""
    with pytest.raises(RefusedError) as caught:
        read(*headers, **line)
    refusal = caught.value.refusal
    assert TOKEN not in refusal.reason
    return refusal


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {TOKEN}")],
        [("authorization", f"bearer   {TOKEN}")],
        [("Authorization", f"Token {TOKEN}")],
        [("Authorization", TOKEN)],
        [("X-Api-Key", TOKEN)],
        [("X-Api-Key", TOKEN), ("Authorization", f"Bearer {TOKEN}")],
        [("X-Api-Key", ""), ("Authorization", f"Bearer {TOKEN}")],
    ],
)
def test_the_token_is_taken_from_the_headers_of_the_upstream(headers: list[tuple[str, str]]) -> None:
    """With a scheme or without, once or twice the same; it is not forwarded, and not shown."""
    request = read(HOST, *headers)
    assert request.token == TOKEN
    assert request.headers == (IDENTITY,)
    assert TOKEN not in repr(request)


def test_other_credentials_are_no_token() -> None:
    """What the upstream does not name as token_from is dropped unread."""
    request = read(HOST, ("Proxy-Authorization", f"Bearer {TOKEN}"), ("Cookie", TOKEN), ("X-Auth-Token", "a" * 20))
    assert request.token == ""
    assert request.headers == (IDENTITY,)


def test_a_header_that_is_no_credential_elsewhere_can_hold_the_token() -> None:
    """token_from may name any header; it does not go up then."""
    upstream = an_upstream(token_from=("x-agent",))
    raw = [(b"Host", b"shim"), (b"X-Agent", TOKEN.encode()), (b"Authorization", b"Bearer other-token-of-somebody")]
    request = read_head(b"GET", b"/billing/x", "1.1", raw, mounts(upstream))
    assert (request.token, request.headers) == (TOKEN, (IDENTITY,))


def test_two_different_tokens_are_refused() -> None:
    """Nobody can say who acts."""
    refusal = refused(HOST, ("Authorization", f"Bearer {TOKEN}"), ("X-Api-Key", TOKEN + "2"))
    assert (refusal.status, refusal.code) == (400, "two_tokens")


@pytest.mark.parametrize("second", [TOKEN, "another-token-than-that"])
def test_a_header_of_the_token_that_comes_twice_is_refused(second: str) -> None:
    """Even if both say the same."""
    assert refused(HOST, ("Authorization", TOKEN), ("authorization", second)).status == 400


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ([("X-Note", TOKEN)], "/billing/x"),
        ([("Accept", f"text/{TOKEN};q=1")], "/billing/x"),
        ([("X-Claude-Code-Session-Id", TOKEN)], "/billing/x"),
        ([], f"/billing/{TOKEN}"),
        ([], f"/billing/x?key={TOKEN}"),
        ([], f"/billing/%{ord(TOKEN[0]):02x}{TOKEN[1:]}"),
        ([], f"/billing/x?key={TOKEN[:5]}%{ord(TOKEN[5]):02X}{TOKEN[6:]}"),
    ],
)
def test_the_token_anywhere_else_is_refused(headers: list[tuple[str, str]], target: str) -> None:
    """The upstream must not learn it, by mistake neither."""
    refusal = refused(HOST, ("Authorization", f"Bearer {TOKEN}"), *headers, target=target)
    assert (refusal.status, refusal.code) == (400, "token_misplaced")


@pytest.mark.parametrize(
    "dropped", [("Cookie", TOKEN), ("X-Forwarded-For", TOKEN), ("X_Note", TOKEN), ("Range", TOKEN)]
)
def test_the_token_in_a_header_that_is_dropped_does_no_harm(dropped: tuple[str, str]) -> None:
    """What does not go up is not looked at."""
    assert read(HOST, ("Authorization", TOKEN), dropped).token == TOKEN


def test_a_short_token_is_not_looked_for() -> None:
    """It would be found by chance."""
    assert read(HOST, ("Authorization", "Bearer get"), ("X-Note", "get it"), target="/billing/get").token == "get"

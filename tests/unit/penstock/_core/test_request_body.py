"""The body of a request while it is judged: what waits, how it is framed, and the token that must not be in it."""

import pytest

from penstock._core.environment import Spool
from penstock._core.incoming import CHUNKED, MIN_TOKEN
from penstock._core.refusal import RefusedError
from penstock._core.request_body import RequestBody
from unit.penstock._core.fake_sides import TOKEN


def a_body(*pieces: bytes, spool: Spool | None = None, token: str = "") -> RequestBody:
    """Returns a body of which these pieces have come."""
    body = RequestBody(spool or Spool(1 << 20), token)
    for piece in pieces:
        body.add(piece)
    return body


def test_what_comes_waits_and_is_counted() -> None:
    """Pieces are joined in their order; looking at them does not take them."""
    spool = Spool(100)
    body = a_body(b"ab", b"", b"cd", spool=spool)
    assert (body.size, body.held, spool.used) == (4, 4, 4)
    assert body.whole() == body.whole() == b"abcd"
    assert body.take() == b"abcd"
    assert (body.size, body.held, spool.used) == (4, 0, 0)
    body.add(b"e")
    assert body.take() == b"e"
    assert (body.size, body.whole()) == (5, b"")


def test_what_is_dropped_is_given_back_once() -> None:
    """The spool's count cannot go below what others hold."""
    spool = Spool(100)
    other = a_body(b"12345", spool=spool)
    body = a_body(b"abc", spool=spool)
    body.drop()
    body.drop()
    assert (spool.used, body.held, body.whole()) == (5, 0, b"")
    assert other.whole() == b"12345"


def test_too_much_that_waits_is_refused_and_not_counted() -> None:
    """The spool is shared: a 503 says that it is not the request's fault."""
    spool = Spool(5)
    body = a_body(b"abc", spool=spool)
    with pytest.raises(RefusedError) as caught:
        body.add(b"def")
    assert (caught.value.refusal.status, caught.value.refusal.code) == (503, "shim_unavailable")
    assert (body.size, body.held, spool.used) == (3, 3, 3)


# Framing.


@pytest.mark.parametrize(
    ("method", "length", "pieces", "complete", "lines", "framed"),
    [
        ("GET", 0, [], True, b"", b""),
        ("DELETE", 0, [], True, b"", b""),
        ("POST", 0, [], True, b"content-length: 0\r\n", b""),
        ("PUT", 0, [], True, b"content-length: 0\r\n", b""),
        ("PATCH", CHUNKED, [], True, b"content-length: 0\r\n", b""),
        ("GET", CHUNKED, [], True, b"", b""),
        ("POST", 5, [b"hello"], True, b"content-length: 5\r\n", b"hello"),
        ("GET", 5, [b"hello"], True, b"content-length: 5\r\n", b"hello"),
        ("POST", CHUNKED, [b"he", b"llo"], True, b"content-length: 5\r\n", b"hello"),
        ("POST", 9, [b"hello"], False, b"content-length: 9\r\n", b"hello"),
        ("POST", 9, [], False, b"content-length: 9\r\n", b""),
        ("POST", CHUNKED, [b"hello"], False, b"transfer-encoding: chunked\r\n", b"5\r\nhello\r\n"),
        ("POST", CHUNKED, [], False, b"transfer-encoding: chunked\r\n", b""),
    ],
)
def test_a_body_is_framed_anew(
    method: str, length: int, pieces: list[bytes], complete: bool, lines: bytes, framed: bytes
) -> None:
    """A body that is all there has a length; else it has the one that the agent said, or chunks of the shim's own."""
    body = a_body(*pieces)
    body.complete = complete
    assert body.framing(length, method) == lines
    assert body.framed(body.take()) == framed


def test_chunks_end_once_the_body_is_complete() -> None:
    """The last chunk goes with the last piece, or alone; sizes are hexadecimal."""
    body = a_body()
    body.framing(CHUNKED, "POST")
    assert body.framed(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    body.complete = True
    assert body.framed(b"end") == b"3\r\nend\r\n0\r\n\r\n"
    assert body.framed(b"") == b"0\r\n\r\n"


def test_an_empty_piece_never_ends_chunks() -> None:
    """A chunk of length nought is the end; so none is written for nothing."""
    body = a_body(b"", b"")
    body.framing(CHUNKED, "POST")
    assert body.framed(b"") == b""


def test_a_known_length_is_framed_by_itself_at_the_end_too() -> None:
    """No chunk follows a Content-Length."""
    body = a_body(b"ab")
    body.framing(4, "POST")
    assert body.framed(body.take()) == b"ab"
    body.add(b"cd")
    body.complete = True
    assert body.framed(body.take()) == b"cd"


# The token.


@pytest.mark.parametrize("cut", range(len(TOKEN) + 1))
def test_the_agents_token_is_found_wherever_it_is_cut(cut: int) -> None:
    """The piece that completes it is refused; nothing of it is in the reason."""
    text = TOKEN.encode()
    body = RequestBody(Spool(1000), TOKEN)
    with pytest.raises(RefusedError) as caught:
        for piece in (b'{"key": "', text[:cut], text[cut:], b'"}'):
            body.add(piece)
    refusal = caught.value.refusal
    assert (refusal.status, refusal.code) == (400, "token_misplaced")
    assert TOKEN not in refusal.reason


def test_the_token_is_found_when_it_comes_byte_by_byte_and_after_much_else() -> None:
    """The tail that is remembered is neither too short nor lost when pieces are taken away."""
    body = RequestBody(Spool(1 << 20), TOKEN)
    body.add(b"x" * 100_000)
    body.take()
    for octet in TOKEN.encode()[:-1]:
        body.add(bytes([octet]))
        body.take()
    with pytest.raises(RefusedError):
        body.add(TOKEN.encode()[-1:])


def test_parts_of_the_token_are_no_token() -> None:
    """All but its last byte, twice, is something else."""
    part = TOKEN.encode()[:-1]
    assert a_body(part, part, b" ", TOKEN.encode()[1:], token=TOKEN).size == 3 * len(part) + 1


@pytest.mark.parametrize("token", ["", "a" * (MIN_TOKEN - 1)])
def test_a_short_token_is_not_looked_for(token: str) -> None:
    """It would be found by chance."""
    assert a_body(b"a" * 100, token=token).size == 100

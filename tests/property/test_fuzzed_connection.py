"""Properties of an agent's connection: no bytes crash it, and none bring an upstream what was not judged."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from property.fuzzed_connection import cut, play, require_found

AUTH = b"Authorization: Bearer agent-of-the-test\r\n"


def mostly(usual: st.SearchStrategy[bytes], other: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Returns what is usual, but now and then the other."""
    return st.integers(0, 5).flatmap(lambda chosen: other if chosen == 5 else usual)


GOOD = st.sampled_from([b"X-A: 1\r\n", b"Accept: a/b\r\n", b"Expect: 100-continue\r\n", b"X_Y: 1\r\n", b""])
LINES = st.sampled_from(
    [
        b"Content-Length: 3\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 12\r\n",
        b"content-length: 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: CHUNKED\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\tchunked\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive, content-length\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"Host: shim\r\n",
        b"Host: evil\r\n",
        b"X: 1\n",
        b"X: 1\r",
        b"X: 1\r\n 2\r\n",
        b"X: \0\r\n",
        b"X_Y: 1\r\n",
        b"Via: 1.1 penstock\r\n",
        b"Max-Forwards: 1\r\n",
        AUTH,
    ]
)
METHODS = st.sampled_from(b"GET POST POST PUT HEAD OPTIONS DELETE".split())
TARGETS = st.sampled_from(
    b"/billing/x /billing/y?q /billing//z /billing/read /billing/admin /billing/a /billing/wait".split()
)
PROPER_STARTS = st.builds(lambda method, target: method + b" " + target + b" HTTP/1.1", METHODS, TARGETS)
BROKEN_STARTS = st.sampled_from(
    [
        b"GET /billing/%61dmin HTTP/1.1",
        b"GET /billing/x HTTP/1.0",
        b"GET /billing/x HTTP/2.0",
        b"GET  /billing/x  HTTP/1.1",
        b"GET\t/billing/x HTTP/1.1",
        b"GET http://evil/billing/x HTTP/1.1",
        b"CONNECT evil:80 HTTP/1.1",
        b"TRACE /billing/x HTTP/1.1",
        b"get /billing/x HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /other HTTP/1.1",
        b"",
    ]
)
BODIES = st.sampled_from(
    [
        b"",
        b"abc",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3;x=y\r\nabc\r\n0\r\nX: 1\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"03\r\nabc\r\n00\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\nContent-Length: 3\r\n\r\nabc",
        b"ffffffffffffffff\r\n",
        b"\r\n",
        b"x" * 5000,
        b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n",
        b"GET /billing/admin HTTP/1.1\r\nHost: shim\r\n\r\n",
    ]
)
PROPER = BODIES.map(lambda body: b"Content-Length: %d\r\n\r\n" % len(body) + body) | st.lists(
    st.binary(min_size=1, max_size=9), max_size=4
).map(
    lambda pieces: (
        b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n"
        % b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    )
)
"""The end of a head, and the body that it promises."""
BROKEN = st.builds(
    lambda lines, end, body: b"".join([*lines, end, body]),
    st.lists(LINES, max_size=3),
    st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b""]),
    BODIES,
)
REQUESTS = st.builds(
    lambda start, line, rest: start + b"\r\nHost: shim\r\n" + AUTH + line + rest,
    mostly(PROPER_STARTS, BROKEN_STARTS),
    GOOD,
    mostly(PROPER, BROKEN),
)
HEADS = st.binary(max_size=60).map(lambda data: b"GET /billing/x HTTP/1.1\r\nHost: shim\r\n" + data)
CHUNKS = st.binary(max_size=60).map(
    lambda data: b"POST /billing/x HTTP/1.1\r\nHost: shim\r\nTransfer-Encoding: chunked\r\n\r\n" + data
)
SERIES = st.lists(REQUESTS, min_size=1, max_size=5).map(b"".join)
STREAMS = mostly(SERIES, HEADS | CHUNKS | st.binary(max_size=200))
CUTS = st.lists(st.integers(1, 400), max_size=12)
SETTINGS = settings(max_examples=500, deadline=None)


@SETTINGS
@given(STREAMS, CUTS)
@example(b"GET /billing/x HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", [])
def test_no_bytes_bring_up_what_was_not_judged(data: bytes, cuts: list[int]) -> None:
    """However they are cut: nothing raises, all is let go, and each link carries the request that was asked about."""
    play(cut(data, cuts))


@SETTINGS
@given(STREAMS, CUTS)
def test_how_a_stream_is_cut_changes_nothing_of_what_goes_up(data: bytes, cuts: list[int]) -> None:
    """Requests and bodies are those that come when all of it comes at once, or fewer: a broken end is seen sooner."""
    at_once = play([data])
    in_pieces = play(cut(data, cuts))
    shorter, longer = sorted((at_once, in_pieces), key=len)
    assert longer[: len(shorter)] == shorter


@SETTINGS
@given(STREAMS, CUTS)
def test_what_goes_up_is_what_another_parser_finds(data: bytes, cuts: list[int]) -> None:
    """Where both understand a stream they find the same requests in it, with the same bodies."""
    require_found(data, cut(data, cuts))

"""Item 20: what would use the shim, or the people behind it, up."""

from integration.bypass.case import AFTER, CASES_END, Case, chunked, crafted, request

__all__ = ["CASES"]

BAD = ("400 bad_request",)
LARGE = ("431 head_too_large",)
TE = b"Transfer-Encoding: chunked\r\n"
POST = "POST /b/x HTTP/1.1"
APPROVALS = 20
"""Requests for approval that one agent may have open."""


def approvals(number: int, body: bytes) -> bytes:
    """Returns that many requests that a person must approve, each with another body if it has a place for a number."""
    sent = [
        request("/approve/x", method="POST", body=body.replace(b"#", b"%d" % each), last=False)
        for each in range(number)
    ]
    return b"".join(sent)


CASES = [
    Case(
        "20",
        "a head that drips",
        tuple(bytes([octet]) for octet in b"GET /b/x HTTP/1.1\r\nHost: shim\r\nX: 12345"),
        (),
        (),
    ),
    Case("20", "a head that never ends", b"GET /b/x HTTP/1.1\r\nHost: shim\r\n", (), ()),
    Case("20", "a request line that never ends", (b"GET /b/", *[b"x" * 9000] * 3), LARGE, ()),
    Case("20", "a header without end", (crafted("GET /b/x HTTP/1.1")[:-2] + b"X: ", *[b"x" * 9000] * 3), LARGE, ()),
    Case("20", "a huge header", request("/b/x", b"X: " + b"x" * 20_000), LARGE, ()),
    Case("20", "a huge target", request("/b/" + "x" * 20_000), LARGE, ()),
    Case("20", "a hundred and one headers", request("/b/x", *(b"X-%d: 1" % each for each in range(101))), LARGE, ()),
    Case("20", "thousands of empty headers", request("/b/x", *(b"X:" for _ in range(5000))), LARGE, ()),
    Case("20", "empty lines without end", b"\r\n" * 40_000, BAD, ()),
    Case(
        "20",
        "trailers without end",
        (crafted(POST, TE, body=b"1\r\na\r\n0\r\n"), *[b"X: 1\r\n" * 1500] * 3),
        BAD,
        ("/x",),
        body=b"a",
        cut=True,
    ),
    Case(
        "20",
        "an extension of a chunk without end",
        (crafted(POST, TE, body=b"1\r\na\r\n1;"), *[b"x" * 9000] * 3),
        BAD,
        ("/x",),
        body=b"a",
        cut=True,
    ),
    Case(
        "20",
        "a body that never comes",
        crafted("POST /json/pay HTTP/1.1", b"Content-Type: application/json\r\nContent-Length: 30000\r\n", body=b"{"),
        ("408 request_timeout",),
        ("/pay",),
    ),
    Case(
        "20",
        "a body that stops on its way up",
        crafted(POST, b"Content-Length: 30000\r\n", body=b"abc"),
        ("408 request_timeout",),
        ("/x",),
        body=b"abc",
        cut=True,
    ),
    Case(
        "20",
        "chunks of one byte, by thousands",
        crafted(POST, TE, CASES_END, body=chunked(*[b"a"] * 5000)),
        paths=("/x",),
    ),
    Case("20", "hundreds of requests at once", request("/b/x", last=False) * 300 + AFTER, ("200",) * 301),
    Case(
        "20",
        "approvals asked for again and again, and by the dozen: some are open, and no more",
        approvals(5, b"same") + approvals(25, b"#") + AFTER,
        (*("403 approval_pending",) * (4 + APPROVALS), *("403 approvals_exhausted",) * (26 - APPROVALS), "200"),
    ),
]

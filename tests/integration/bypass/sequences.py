"""Items 21 and 22: requests behind others, by others, and with another method than a rule names."""

from integration.bypass.case import AFTER, AUTH, HIDDEN, Case, crafted, request

__all__ = ["CASES"]

OTHER = AUTH.replace(b"@AGENT@", b"@OTHER@")
DENIED = "403 policy_denied"


def reads(
    method: str, *lines: bytes, answers: tuple[str, ...] = ("403 no_rule",), **expected: tuple[bytes, ...]
) -> Case:
    """Returns a request where a rule allows GET alone."""
    name = f"{method} where GET is allowed" if not lines else f"{method} with {lines[0].decode()}"
    return Case("22", name, request("/reads/x", *lines, method=method), answers, ("/x",), **expected)


CASES = [
    Case("21", "a request behind a denied one", HIDDEN + AFTER, (DENIED, "200"), ("/admin/hidden", "/after")),
    Case(
        "21",
        "a denied one between two that are allowed",
        request("/b/1", last=False) + HIDDEN + request("/b/2", last=False) + HIDDEN + AFTER,
        ("200", DENIED, "200", DENIED, "200"),
        ("/1", "/admin/hidden", "/2", "/admin/hidden", "/after"),
    ),
    Case(
        "21",
        "a denied one with a body that is a request",
        crafted(
            "POST /b/admin/x HTTP/1.1",
            b"Content-Length: 44\r\n",
            body=b"GET /b/admin/hidden HTTP/1.1\r\nHost: shim\r\n\r\n",
        )
        + AFTER,
        (DENIED, "200"),
        ("/admin/x", "/after"),
    ),
    Case(
        "21",
        "a denied one whose body comes late",
        (
            crafted("POST /b/admin/x HTTP/1.1", b"Content-Length: 44\r\n"),
            b"GET /b/admin/hidden HTTP/1.1\r\nHost: shim\r\n\r\n" + AFTER,
        ),
        (DENIED,),
        ("/admin/x",),
    ),
    Case(
        "21",
        "a connection that another identity goes on with",
        request("/b/1", last=False) + AFTER.replace(AUTH, OTHER),
        ("200", "403 no_rule"),
        ("/1", "/after"),
    ),
    Case(
        "21",
        "the same behind a pause",
        (request("/b/1", last=False), AFTER.replace(AUTH, OTHER)),
        ("200", "403 no_rule"),
        ("/1", "/after"),
    ),
    Case(
        "21",
        "one that nobody vouches for, behind an allowed one",
        request("/b/1", last=False) + AFTER.replace(AUTH, b""),
        ("200", "403 token_missing"),
        ("/1", "/after"),
    ),
    Case(
        "21",
        "an allowed one behind one of another identity",
        AFTER.replace(AUTH, OTHER).replace(b"Connection: close\r\n", b"") + AFTER,
        ("403 no_rule", "200"),
        ("/after", "/after"),
    ),
    Case(
        "21",
        "many at once",
        b"".join(request(f"/b/{number}", last=False) + HIDDEN for number in range(20)) + AFTER,
        (*("200", DENIED) * 20, "200"),
    ),
    reads("GET", answers=("200",)),
    reads("HEAD"),
    reads("OPTIONS"),
    reads("POST"),
    reads("GET", b"X-HTTP-Method-Override: POST", answers=("200",), never=(b"override", b"post")),
    reads("GET", b"Range: bytes=0-9", answers=("200",), never=(b"range", b"bytes")),
    reads("GET", b"If-Range: x", answers=("200",), never=(b"range",)),
    reads("GET", b"X-Amz-Range: bytes=0-9", answers=("200",), never=(b"range",)),
    reads("GET", b"Request-Range: bytes=0-9", answers=("200",), never=(b"range",)),
    Case("22", "HEAD of a denied path", request("/b/admin/x", method="HEAD"), (DENIED,), ("/admin/x",)),
    Case("22", "OPTIONS of a denied path", request("/b/admin/x", method="OPTIONS"), (DENIED,), ("/admin/x",)),
    Case(
        "22",
        "OPTIONS that ends at the shim",
        request("/b/x", b"Max-Forwards: 0", method="OPTIONS"),
        ("405 method_refused",),
        (),
    ),
    Case(
        "22",
        "a part of an answer that nobody asked for",
        request("/reads/x", b"Range: bytes=0-9"),
        ("502 bad_answer",),
        ("/x",),
        reply=b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello",
        hidden=(b"hello",),
    ),
]

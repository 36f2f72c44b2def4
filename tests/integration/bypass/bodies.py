"""Item 13 and the table's rows about bodies: what a rule reads is what every parser reads, or it counts against it."""

import gzip

from integration.bypass.case import AFTER, CASES_END, Case, chunked, crafted, request

__all__ = ["CASES"]

JSON = b"Content-Type: application/json"
NO_RULE = ("403 no_rule",)
BLIND = ("403 body_unreadable",)
DENIED = ("403 policy_denied",)
GOOD = b'{"amount": 5, "to": "bob"}'


def paid(name: str, body: bytes, *lines: bytes, row: str = "13", answers: tuple[str, ...] = BLIND) -> Case:
    """Returns a payment where a rule allows amounts up to 100: what it cannot read it does not allow."""
    return Case(
        row, f"allow, {name}", request("/json/pay", *(lines or (JSON,)), method="POST", body=body), answers, ("/pay",)
    )


def user(name: str, body: bytes, *lines: bytes, row: str = "13") -> Case:
    """Returns a new user where a rule denies some admins, and another one allows the rest: doubt is a denial."""
    sent = request("/json/users", *(lines or (JSON,)), method="POST", body=body)
    return Case(row, f"deny, {name}", sent, BLIND, ("/users",))


def query(name: str, text: str, answers: tuple[str, ...] = NO_RULE) -> Case:
    """Returns a search where a rule allows role=user."""
    return Case("13", f"query, {name}", request(f"/json/search?{text}"), answers, ("/search",))


TABLE = [
    each
    for name, body in {
        "duplicate keys": b'{"amount": 5, "amount": 5000, "to": "bob"}',
        "NaN": b'{"amount": NaN, "to": "bob"}',
        "1e400": b'{"amount": 1e400, "to": "bob"}',
        "a lone surrogate": b'{"amount": 5, "to": "\\ud800"}',
        "depth 65": b'{"amount": 5, "to": "bob", "x": ' + b"[" * 64 + b"]" * 64 + b"}",
    }.items()
    for each in (paid(name, body, row="table"), user(name, body.replace(b"amount", b"admin"), row="table"))
]

UNREADABLE = {
    "Infinity": b'{"amount": -Infinity, "to": "bob"}',
    "duplicate keys in another case": b'{"amount": 5, "Amount": 5000, "to": "bob"}',
    "duplicate keys, one escaped": b'{"amount": 5, "\\u0061mount": 5000, "to": "bob"}',
    "duplicate keys further in": b'{"amount": 5, "to": "bob", "x": {"a": 1, "a": 2}}',
    "a lone surrogate in a key": b'{"amount": 5, "to": "bob", "\\udc00": 1}',
    "surrogates in the wrong order": b'{"amount": 5, "to": "\\udc00\\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32-be"),
    "invalid UTF-8": b'{"amount": 5, "to": "b\xffb"}',
    "overlong UTF-8": b'{"amount": 5, "to": "\xc0\xafbob"}',
    "trailing data": GOOD + b'{"amount": 5000}',
    "a trailing comma": b'{"amount": 5, "to": "bob",}',
    "comments": b'{"amount": 5, /* "amount": 5000, */ "to": "bob"}',
    "line comments": b'{"amount": 5, "to": "bob"} // x',
    "single quotes": b"{'amount': 5, 'to': 'bob'}",
    "bare keys": b'{amount: 5, to: "bob"}',
    "a hexadecimal number": b'{"amount": 0x5, "to": "bob"}',
    "a number with a plus": b'{"amount": +5, "to": "bob"}',
    "a number with a zero before": b'{"amount": 05, "to": "bob"}',
    "a number without its digits": b'{"amount": 5., "to": "bob"}',
    "an integer beyond 64 bits": b'{"amount": 99999999999999999999, "to": "bob"}',
    "an integer below 64 bits": b'{"amount": -99999999999999999999, "to": "bob"}',
    "thousands of digits": b'{"amount": ' + b"1" * 5000 + b', "to": "bob"}',
    "a control character in a text": b'{"amount": 5, "to": "b\nb"}',
    "NUL behind it": GOOD + b"\0",
    "nothing but white space": b" \r\n ",
    "depth 10000": b"[" * 7000 + b"]" * 7000,
    "a form": b"amount=5&to=bob",
    "two texts": GOOD + b"\n" + GOOD,
}

OTHER_TYPES = {
    "no content type": (),
    "a form's type": (b"Content-Type: application/x-www-form-urlencoded",),
    "a text's type": (b"Content-Type: text/plain",),
    "a charset of 16 bits": (b"Content-Type: application/json; charset=utf-16",),
    "a charset of 7 bits": (b"Content-Type: application/json; charset=utf-7",),
    "gzip": (JSON, b"Content-Encoding: gzip"),
    "a coding nobody knows": (JSON, b"Content-Encoding: x"),
}

SHAPES = [
    paid("a number as a text", b'{"amount": "5", "to": "bob"}', answers=NO_RULE),
    paid("an amount that is a list", b'{"amount": [5], "to": "bob"}', answers=NO_RULE),
    paid("no amount", b'{"to": "bob"}', answers=NO_RULE),
    paid("null", b"null", answers=NO_RULE),
    paid("a list", b"[" + GOOD + b"]", answers=NO_RULE),
    paid("more than is allowed", b'{"amount": 101, "to": "bob"}', answers=NO_RULE),
    paid("more, with an exponent", b'{"amount": 1e3, "to": "bob"}', answers=NO_RULE),
    paid("to somebody else, in escapes", b'{"amount": 5, "to": "\\u0065ve"}', answers=NO_RULE),
    paid("no body at all", b"", answers=NO_RULE),
]

SERVED = [
    paid("plain", GOOD, answers=("200",)),
    paid("a type with a suffix", GOOD, b"Content-Type: application/vnd.pay+json; charset=UTF-8", answers=("200",)),
    paid("escapes", b'{"\\u0061mount": 5, "to": "b\\u00f6b \\ud83d\\ude00"}', answers=("200",)),
    paid("depth 64", b'{"amount": 5, "to": "bob", "x": ' + b"[" * 63 + b"]" * 63 + b"}", answers=("200",)),
    Case(
        "13",
        "allow, in chunks of one byte",
        crafted(
            "POST /json/pay HTTP/1.1",
            JSON + b"\r\n",
            b"Transfer-Encoding: chunked\r\n",
            CASES_END,
            body=chunked(*(bytes([octet]) for octet in GOOD)),
        ),
        arrived=(b"content-length: 26\r\n\r\n" + GOOD.lower(),),
    ),
    Case(
        "13",
        "deny, hidden behind what a first look reads",
        (
            crafted("POST /json/users HTTP/1.1", JSON + b"\r\n", b"Content-Length: 40046\r\n", CASES_END),
            b'{"name": "' + b"x" * 40_000 + b'", ',
            b'"admin" : 5}' + b" " * 21,
        ),
        DENIED,
        ("/users",),
    ),
    Case(
        "table",
        "a body longer than what is judged",
        crafted("POST /json/pay HTTP/1.1", JSON + b"\r\n", b"Content-Length: 9000000\r\n", CASES_END, body=b"[" * 100),
        ("413 body_too_large",),
        ("/pay",),
    ),
    Case(
        "table",
        "chunks longer than what is judged",
        crafted("POST /json/pay HTTP/1.1", JSON + b"\r\n", b"Transfer-Encoding: chunked\r\n", CASES_END)
        + b"900000\r\n"
        + b" " * 0x900000
        + b"\r\n0\r\n\r\n",
        ("413 body_too_large",),
        ("/pay",),
    ),
    Case(
        "table",
        "a body that is judged whole, and none of its end missing",
        request("/json/pay", JSON, method="POST", body=GOOD + b" " * 200_000),
        ("200",),
        ("/pay",),
    ),
    paid("a body in gzip", gzip.compress(GOOD, mtime=0), JSON, b"Content-Encoding: gzip", row="table"),
    Case(
        "table",
        "a body in gzip that no rule reads",
        request("/b/x", b"Content-Encoding: gzip", method="POST", body=gzip.compress(b"hello", mtime=0)),
        arrived=(b"content-encoding: gzip\r\n",),
    ),
]

QUERIES = [
    query("plain", "role=user", ("200",)),
    query("twice", "role=user&role=admin"),
    query("twice, one encoded", "role=user&r%6fle=admin"),
    query("twice, in another case", "role=user&Role=admin"),
    query("an element of a list", "role=user&role[]=admin"),
    query("an element of a list, encoded", "role=user&role%5B0%5D=admin"),
    query("cut by NUL", "role=user&role%00x=admin"),
    query("with white space", "role=user&%20role=admin"),
    query("a semicolon as a separator", "role=user;role=admin"),
    query("a semicolon before", "x=1;role=admin&role=user"),
    query("not UTF-8", "role=user&x=%ff"),
    query("another role", "role=admin"),
    query("nothing", ""),
]
HEADERS = [
    Case("13", "header, plain", request("/json/role", b"X-Role: user"), ("200",), ("/role",)),
    Case("13", "header, none", request("/json/role"), NO_RULE, ("/role",)),
    Case("13", "header, twice", request("/json/role", b"X-Role: user", b"X-Role: admin"), ("400 bad_request",), ()),
    Case("13", "header, a list", request("/json/role", b"X-Role: user, admin"), NO_RULE, ("/role",)),
    Case("13", "header, with an underscore alone", request("/json/role", b"X_Role: user"), NO_RULE, ("/role",)),
    Case("13", "header, named by Connection", request("/json/role", b"X-Role: user", b"Connection: x-role"), NO_RULE),
]

CASES = [
    *TABLE,
    *(paid(name, body) for name, body in UNREADABLE.items()),
    *(user(name, body.replace(b"mount", b"dmin")) for name, body in UNREADABLE.items()),
    *(
        paid(name, GOOD, *lines)
        if lines
        else Case("13", f"allow, {name}", request("/json/pay", method="POST", body=GOOD), BLIND)
        for name, lines in OTHER_TYPES.items()
    ),
    *SHAPES,
    *SERVED,
    *QUERIES,
    *HEADERS,
    Case(
        "13",
        "a refused body ends nothing else",
        request("/json/pay", JSON, method="POST", body=b"x", last=False) + AFTER,
        ("403 body_unreadable", "200"),
    ),
]

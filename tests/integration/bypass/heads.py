"""Items 3, 4, 5, 7 and 9, and the table's rows about headers: what a head may say, and of whom."""

from integration.bypass.case import AFTER, AUTH, CASES_END, Case, crafted, request

__all__ = ["CASES"]

BAD = ("400 bad_request",)
HEADER = ("400 bad_header",)
TWO_TOKENS = ("400 two_tokens",)
MISPLACED = ("400 token_misplaced",)
START = "GET /b/x HTTP/1.1"


def refused(row: str, name: str, *lines: bytes, answers: tuple[str, ...] = BAD) -> Case:
    """Returns a request with these lines, which is refused unjudged."""
    return Case(row, name, request("/b/x", *lines), answers, ())


def dropped(row: str, line: bytes, *, never: bytes = b"") -> Case:
    """Returns a request with a line that an upstream would believe: it arrives without it."""
    name = line.partition(b":")[0]
    return Case(row, f"dropped {name.decode()}", request("/b/x", line), paths=("/x",), never=(never or name.lower(),))


def host(name: str, *lines: bytes, target: str = "/b/x", answers: tuple[str, ...] = BAD) -> Case:
    """Returns a request with these lines in the place of its Host, which is refused."""
    sent = crafted(f"GET {target} HTTP/1.1", CASES_END, host=b"".join(line + b"\r\n" for line in lines))
    return Case("5", name, sent, answers, ())


def hosted(value: bytes, target: str, path: str, answers: tuple[str, ...] = ("200",), *, base: bytes = b"") -> Case:
    """Returns a request for a Host that may name an upstream; it is judged for what is found."""
    sent = crafted(f"GET {target} HTTP/1.1", CASES_END, host=b"Host: " + value + b"\r\n")
    arrived = (b"get %b%b http/1.1\r\nhost: 127.0.0.1" % (base, path.encode()),) if answers == ("200",) else ()
    return Case("5", f"Host {value.decode()} and {target}", sent, answers, (path,), arrived=arrived)


def named(value: bytes) -> list[bytes]:
    """Returns the headers that tell an upstream another path, host, method or user than was judged."""
    return [name + b": " + value for name in (b"X-Original-URL", b"X-Rewrite-URL", b"X-Envoy-Original-Path")]


TABLE = [
    Case("table", "two Host headers", crafted(START, b"Host: evil\r\n", CASES_END), BAD, ()),
    Case("table", "two equal Host headers", crafted(START, b"Host: shim\r\n", CASES_END), BAD, ()),
    refused("table", "duplicate x-role", b"X-Role: user", b"X-Role: admin"),
    refused("table", "duplicate x-role in two cases", b"X-Role: user", b"x-ROLE: user"),
    Case(
        "table",
        "x_role beside x-role",
        request("/b/x", b"X-Role: user", b"X_Role: admin"),
        arrived=(b"x-role: user",),
        never=(b"admin", b"x_role"),
    ),
    *(dropped("table", line) for line in named(b"/admin/x")),
    dropped("table", b"X-HTTP-Method-Override: DELETE"),
    dropped("table", b"X-Penstock-Decision: dec_1"),
    dropped("table", b"X-Penstock-Session: label"),
    dropped("table", b"X-Forwarded-For: 127.0.0.1"),
    dropped("table", b"X-Forwarded-Host: evil"),
    dropped("table", b"X-Forwarded-User: root"),
    dropped("table", b"X-Forwarded-Prefix: /admin"),
]

DUPLICATES = [
    refused("3", f"duplicate {name.decode()}", name + b": a", name.lower() + b": b")
    for name in (
        b"Content-Type",
        b"X-Api-Version",
        b"User-Agent",
        b"If-Modified-Since",
        b"Origin",
        b"Anthropic-Version",
    )
]
VALUES = [
    refused("3", "a value in ISO-8859-1", b"X-Name: caf\xe9", answers=HEADER),
    refused("3", "a value in overlong UTF-8", b"X-Name: \xc0\xae", answers=HEADER),
    refused("3", "a surrogate in UTF-8", b"X-Name: \xed\xa0\x80", answers=HEADER),
    refused("3", "a value cut within a character", b"X-Name: \xe2\x82", answers=HEADER),
    refused("3", "a token that is not UTF-8", b"X-Api-Key: \xff\xff", answers=HEADER),
    Case("3", "a value in UTF-8", request("/b/x", "X-Name: café".encode()), arrived=("x-name: café".encode(),)),
    Case("3", "a list in two fields", request("/b/x", b"Accept: a/b", b"accept: c/d"), arrived=(b"accept: c/d",)),
    Case("3", "white space around a value", request("/b/x", b"X-Role: \t user \t"), arrived=(b"x-role: user\r\n",)),
    Case("3", "an empty value", request("/b/x", b"X-Role:"), arrived=(b"x-role: \r\n",)),
    refused("3", "two tokens", b"X-Api-Key: @OTHER@", answers=TWO_TOKENS),
    refused("3", "two Authorization headers", b"Authorization: Bearer @OTHER@"),
    Case("3", "the same token twice", request("/b/x", b"X-Api-Key: @AGENT@"), never=(b"authorization",)),
    refused("3", "the token in another header", b"X-Note: @AGENT@", answers=MISPLACED),
    Case("3", "the token in the query", request(b"/b/x?key=@AGENT@"), MISPLACED, ()),
    Case("3", "the token in the path", request(b"/b/@AGENT@/x"), MISPLACED, ()),
    Case(
        "3",
        "the token in the body",
        (
            crafted("POST /b/x HTTP/1.1", b"Transfer-Encoding: chunked\r\n", CASES_END),
            b"5\r\nabcde\r\n",
            b"400\r\n",
            b"@AGENT@",
            b" " * 2000,
        ),
        MISPLACED,
        None,
        body=b"abcde",
        cut=True,
    ),
]

FORGED = [
    dropped("4", line + b": root")
    for line in (
        b"X-Penstock-Principal",
        b"X-Penstock-Code",
        b"Forwarded",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Email",
        b"X-Forwarded-Client-Cert",
        b"X-Real-IP",
        b"X-Original-Method",
        b"X-Original-Host",
        b"X-Original-URI",
        b"X-Override-URL",
        b"X-HTTP-Method",
        b"X-Method-Override",
        b"X-HTTP-Path-Override",
        b"X-Middleware-Subrequest",
        b"X-Envoy-Internal",
        b"X-Envoy-Decorator-Operation",
        b"X-Auth-Request-User",
        b"X-Goog-IAP-JWT-Assertion",
        b"X-MS-Client-Principal",
        b"X-Remote-User",
        b"Remote-User",
        b"X-User",
        b"True-Client-IP",
        b"CF-Connecting-IP",
        b"Cookie",
        b"Cookie2",
        b"Proxy-Authorization",
        b"X-Goog-Api-Key",
        b"X-Amz-Security-Token",
        b"Private-Token",
        b"X-Vault-Token",
    )
]
CONNECTION = [
    Case(
        "4",
        "headers named by Connection",
        request("/b/x", b"X-Role: user", b"Connection: x-role, keep-alive"),
        paths=("/x",),
        never=(b"x-role",),
    ),
    Case(
        "4",
        "the credential named by Connection",
        request("/b/x", b"Connection: x-api-key, host, via, accept-encoding"),
        arrived=(b"\r\nx-api-key: ", b"\r\nhost: ", b"\r\nvia: ", b"\r\naccept-encoding: identity\r\n"),
    ),
    Case(
        "4",
        "an own credential in the place of the upstream's",
        request("/b/x", b"X-API-Key: @AGENT@", b"X-Api_Key: mine"),
        never=(b"mine",),
    ),
    Case("4", "a via that goes in circles", request("/b/x", *[b"Via: 1.1 penstock"] * 5), ("508 loop_detected",), ()),
]

HOSTS = [
    host("no Host"),
    host("an empty Host", b"Host:"),
    host("a Host with a user", b"Host: shim@evil"),
    host("a Host with a path", b"Host: shim/admin"),
    host("a list of Hosts", b"Host: shim, evil"),
    host("a Host with a space", b"Host: shim evil"),
    host("a Host with a tab", b"Host: shim\tevil"),
    host("a Host with a bad port", b"Host: shim:80x"),
    host("a Host in percent-encoding", b"Host: sh%69m"),
    host("a Host in UTF-8", "Host: shím".encode()),
    host("a Host behind a space", b"Host : shim"),
    host("a Host that names an upstream, and another", b"Host: api.internal", b"Host: shim", target="/x"),
    host("another Host, and one that names an upstream", b"Host: shim", b"Host: api.internal"),
    Case("5", "no Host in HTTP/1.0", b"GET /b/x HTTP/1.0\r\n" + AUTH + b"\r\n", BAD, ()),
    hosted(b"api.internal", "/x", "/x", base=b"/hosted"),
    hosted(b"api.internal", "/b/x", "/b/x", base=b"/hosted"),
    hosted(b"api.internal", "/admin/x", "/admin/x", ("403 policy_denied",)),
    hosted(b"API.Internal:8080", "//admin/./x", "/admin/x", ("403 policy_denied",)),
    hosted(b"api.internal.", "/b/x", "/x"),
    hosted(b"xapi.internal", "/b/x", "/x"),
    hosted(b"127.0.0.1", "/b/admin/x", "/admin/x", ("403 policy_denied",)),
    Case(
        "5",
        "Host of the upstream in X-Forwarded-Host",
        crafted("GET /x HTTP/1.1", b"X-Forwarded-Host: api.internal\r\n", CASES_END),
        ("404 upstream_unknown",),
        (),
    ),
]

EVIL = b"GET /b/x HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Mode: no-cors\r\n"
PREFLIGHT = b"OPTIONS /b/x HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
REBINDING = [
    Case("7", "a page of a rebound name, without a token", EVIL + CASES_END + b"\r\n", ("403 token_missing",), ("/x",)),
    Case(
        "7",
        "a page of a rebound name, with cookies",
        EVIL + b"Cookie: authorization=Bearer @AGENT@\r\n" + CASES_END + b"\r\n",
        ("403 token_missing",),
        ("/x",),
    ),
    Case(
        "7",
        "the preflight of such a page",
        PREFLIGHT + b"Access-Control-Request-Headers: authorization\r\n" + CASES_END + b"\r\n",
        ("403 token_missing",),
        ("/x",),
    ),
    Case(
        "7",
        "a foreign Host with a token reaches what was judged",
        crafted(START, CASES_END, host=b"Host: evil.example\r\n"),
        paths=("/x",),
        arrived=(b"\r\nhost: 127.0.0.1",),
        never=(b"evil",),
    ),
]

UPGRADE = b"Connection: Upgrade"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
UPGRADES = [
    Case(
        "9",
        "h2c is not taken",
        crafted(START, b"Connection: Upgrade, HTTP2-Settings\r\n", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n")
        + AFTER,
        ("200", "200"),
        ("/x", "/after"),
        never=(b"upgrade", b"http2-settings", b"h2c"),
    ),
    Case(
        "9",
        "h2c of a denied path",
        crafted("GET /b/admin/x HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n") + AFTER,
        ("403 policy_denied", "200"),
        ("/admin/x", "/after"),
    ),
    Case(
        "9",
        "an upgrade with a body",
        crafted("POST /b/x HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", body=b"hello")
        + AFTER,
        BAD,
        (),
    ),
    Case(
        "9",
        "an upgrade to TLS",
        crafted(START, b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n") + AFTER,
        ("200", "200"),
        never=(b"upgrade", b"tls"),
    ),
    Case(
        "9",
        "an upstream that switches unasked",
        crafted(START, CASES_END),
        ("502 upstream_lost",),
        reply=SWITCHED,
        hidden=(b"hello",),
    ),
    Case("9", "prior knowledge of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + AFTER, BAD, ()),
]

CASES = [*TABLE, *DUPLICATES, *VALUES, *FORGED, *CONNECTION, *HOSTS, *REBINDING, *UPGRADES]

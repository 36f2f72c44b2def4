"""Heads of requests: what is read of them, what is refused, and that the judged head is the forwarded one."""

import pytest

from penstock._core.describe import BodyState
from penstock._core.incoming import CHUNKED, IDENTITY, MAX_SESSION, NO_BODY, Incoming, read_head
from penstock._core.mounts import Mounts
from penstock._core.refusal import Refusal, RefusedError
from penstock._core.verdict import ShimConfig, Upstream
from unit.penstock._core.fake_sides import CREDENTIAL, TOKEN, a_request, an_upstream, mounts

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


def test_the_action_holds_what_is_forwarded() -> None:
    """Method, host, path below the mount, raw query and the headers, credentials excepted."""
    request = a_request("POST", "/billing//v1/%74hings?a=%2F", ("Content-Type", "text/plain"), ("X-Api-Key", TOKEN))
    action = request.action(BodyState.WHOLE, b"body")
    assert action.upstream == "billing"
    http = action.http
    assert (http.method, http.authority, http.path, http.query) == ("POST", "billing.example", "/v1/things", "a=%2F")
    assert http.headers == (("content-type", b"text/plain"), IDENTITY)
    assert (http.body_state, http.body) == (BodyState.WHOLE, b"body")


HOSTED = (
    Upstream("billing", "http://billing.example/base", "/billing"),
    Upstream("mail", "https://mail.example", "/mail", hosts=("mail.internal", "10.0.0.1:8080")),
)


@pytest.mark.parametrize(
    ("host", "target", "upstream", "path"),
    [
        ("mail.internal", "/v1/x", "mail", "/v1/x"),
        ("MAIL.internal:8642", "/", "mail", "/"),
        (" mail.internal\t", "/mail/x", "mail", "/mail/x"),
        ("mail.internal", "/billing/x", "mail", "/billing/x"),
        ("10.0.0.1:8080", "/./a//b/../c", "mail", "/a/c"),
        ("10.0.0.1", "/billing/x", "billing", "/x"),
        ("other", "/mail/x", "mail", "/x"),
    ],
)
def test_a_host_that_an_upstream_names_leads_to_it_with_the_whole_path(
    host: str, target: str, upstream: str, path: str
) -> None:
    """Also where the path begins like a mount; what goes on is the upstream's own authority."""
    for name in (b"Host", b"host", b"hOST"):
        raw = [(b"Accept", b"*/*"), (name, host.encode())]
        request = read_head(b"GET", target.encode(), "1.1", raw, Mounts(ShimConfig(1, HOSTED)))
        http = request.action(BodyState.NONE).http
        assert (request.action(BodyState.NONE).upstream, http.path) == (upstream, path)
        assert http.authority == f"{upstream}.example"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, [(b"Host", b"mail.internal"), (b"Host", b"shim")]),
        (400, [(b"Host", b"shim"), (b"host", b"mail.internal")]),
        (400, [(b"Host", b"mail.internal, shim")]),
        (404, [(b"Host", b"mail.internal.")]),
        (404, [(b"X-Forwarded-Host", b"mail.internal"), (b"Host", b"shim")]),
        (404, []),
    ],
)
def test_two_hosts_or_another_one_lead_nowhere(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    """A request cannot choose between two readings of its Host."""
    path = b"/mail/x" if status == 400 else b"/x"
    with pytest.raises(RefusedError) as caught:
        read_head(b"GET", path, "1.1", headers, Mounts(ShimConfig(1, HOSTED)))
    assert caught.value.refusal.status == status


@pytest.mark.parametrize("credential", [None, CREDENTIAL, ("accept", b"*/*"), ("x-role", b"service")])
@pytest.mark.parametrize("framing", [b"", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
@pytest.mark.parametrize("url", ["http://billing.example", "https://billing.example:8443/base/"])
def test_the_forwarded_head_is_what_was_judged(credential: tuple[str, bytes] | None, framing: bytes, url: str) -> None:
    """Byte for byte: the action's request line and headers, the host, the credential and the framing, nothing else."""
    sent = [
        ("ACCEPT", "text/html"),
        ("accept", " application/json\t"),
        ("X-Role", "a: b"),
        ("X_Role", "admin"),
        ("Keep-Alive", "5"),
        ("Connection", "keep-alive, X-Hop"),
        ("x-hop", "1"),
        ("X-Note", "é"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Cookie", "session=1"),
        ("Accept-Encoding", "gzip, br"),
        ("Range", "bytes=0-1"),
        ("User-Agent", ""),
    ]
    request = a_request("PUT", "/billing/v1/./a%2ab?q=1", *sent, upstream=an_upstream(url=url))
    http = request.action(BodyState.NONE).http
    base = "/base" if url.endswith("/base/") else ""
    lines = [f"{http.method} {base}{http.path}?{http.query} HTTP/1.1".encode(), b"host: " + http.authority.encode()]
    lines += [
        name.encode() + b": " + value for name, value in http.headers if credential is None or name != credential[0]
    ]
    lines.append(b"via: 1.1 penstock")
    if credential is not None:
        lines.append(credential[0].encode() + b": " + credential[1])
    assert request.head(framing, credential) == b"\r\n".join(lines) + b"\r\n" + framing + b"\r\n"
    names = [name for name, _ in http.headers]
    assert names == ["accept", "accept", "x-role", "x-note", "user-agent", "accept-encoding"]


def test_an_agents_own_header_with_the_credentials_name_never_goes_up() -> None:
    """Two of them would let the upstream choose; only the injected one is there, in any case of the name."""
    request = a_request("GET", "/billing/x", ("X-TENANT-KEY", "mine"), ("x-other", "1"))
    head = request.head(b"", ("x-tenant-key", b"real"))
    assert head.lower().count(b"x-tenant-key") == 1
    assert b"x-tenant-key: real\r\n" in head and b"mine" not in head and b"x-other: 1\r\n" in head


def test_an_empty_query_is_none() -> None:
    """A lone question mark is neither judged nor forwarded."""
    request = a_request(target="/billing/x?")
    assert request.head(b"", None).startswith(b"GET /x HTTP/1.1\r\n")


@pytest.mark.parametrize("target", ["/billing", "/billing/"])
def test_the_mount_itself_is_the_upstreams_root(target: str) -> None:
    """There is always a path to forward."""
    assert a_request(target=target).path == "/"


@pytest.mark.parametrize("target", ["/", "/other/x", "/billings/x", "/BILLING/x", "/x/billing", "/billing%2A/x"])
def test_a_path_without_an_upstream_is_a_404(target: str) -> None:
    """Mounts are matched by whole segments."""
    refusal = refused(HOST, target=target)
    assert (refusal.status, refusal.code) == (404, "upstream_unknown")


@pytest.mark.parametrize(
    "target", ["/billing/../other", "/billing/..%2fother", "http://evil/billing/x", "*", "billing"]
)
def test_targets_are_made_canonical_before_they_are_routed(target: str) -> None:
    """A path cannot lead out of one mount, and only origin-form is taken."""
    assert refused(HOST, target=target).status in (400, 404)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PROPFIND", "PURGE", "PRI", "QUERY"])
def test_other_methods_are_a_405(method: str) -> None:
    """CONNECT would be a tunnel, TRACE an echo of the credential."""
    assert (refused(HOST, method=method).status, refused(HOST, method=method).code) == (405, "method_refused")


@pytest.mark.parametrize("version", ["0.9", "2.0", "3.0", "1.2", ""])
def test_other_versions_are_a_505(version: str) -> None:
    """What is not HTTP/1.x cannot be framed."""
    assert refused(HOST, version=version).status == 505


# One header, once.


@pytest.mark.parametrize(
    "name", ["X-Role", "Content-Type", "User-Agent", "Idempotency-Key", "Anthropic-Version", "X-Claude-Code-Session-Id"]
)
@pytest.mark.parametrize("values", [("a", "b"), ("a", "a")])
def test_a_header_that_comes_twice_is_refused(name: str, values: tuple[str, str]) -> None:
    """One server takes the first, another the last, a third joins them: none of that was judged."""
    refusal = refused(HOST, (name, values[0]), (name.lower(), values[1]))
    assert (refusal.status, refusal.code) == (400, "bad_request")


def test_lists_may_come_twice_and_keep_their_order() -> None:
    """These mean the same to everybody."""
    request = read(HOST, ("Accept", "a/b"), ("Via", "x"), ("accept", "c/d"))
    assert request.headers == (("accept", b"a/b"), ("via", b"x"), ("accept", b"c/d"), IDENTITY)


def test_dropped_headers_may_come_twice() -> None:
    """They go nowhere."""
    assert read(HOST, ("Cookie", "a"), ("Cookie", "b"), ("X-Forwarded-For", "1"), ("x-forwarded-for", "2"))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [HOST, ("host", "evil.example")],
        [("Host", "")],
        [("Host", "a b")],
        [("Host", "a,b")],
        [("Host", "evil.example/x")],
        [("Host", "user@shim.example")],
        [("Host", "shim.example:")],
        [("Host", "shim.example:123456")],
        [("Host", "shim.example:80:80")],
        [("Host", "[::1")],
        [("Host", "é.example")],
    ],
)
def test_there_must_be_exactly_one_valid_host(headers: list[tuple[str, str]]) -> None:
    """None, two, or one that is none is a 400."""
    assert refused(*headers).status == 400


@pytest.mark.parametrize("host", ["shim", "shim.example:8642", "127.0.0.1:1", "[::1]", "[::1]:8642", "a_b.example"])
def test_the_agents_host_is_checked_and_then_replaced(host: str) -> None:
    """The upstream sees its own name."""
    head = read(("Host", host)).head(b"", None)
    assert head.count(b"host: ") == 1
    assert b"\r\nhost: billing.example\r\n" in head


# How long the body is.


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], NO_BODY),
        ([("Content-Length", "0")], NO_BODY),
        ([("Content-Length", "007")], 7),
        ([("Content-Length", "123456789012345")], 123456789012345),
        ([("Transfer-Encoding", "chunked")], CHUNKED),
        ([("Transfer-Encoding", "Chunked")], CHUNKED),
    ],
)
def test_the_length_is_read(headers: list[tuple[str, str]], length: int) -> None:
    """From a Content-Length or from chunks."""
    assert read(HOST, *headers, method="POST").length == length


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "0"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "5"), ("Content-Length", "5")],
        [("Content-Length", "5"), ("content-length", "6")],
        [("Content-Length", "5, 5")],
        [("Content-Length", "+5")],
        [("Content-Length", "-5")],
        [("Content-Length", "5 5")],
        [("Content-Length", "0x5")],
        [("Content-Length", "5.0")],
        [("Content-Length", "\u0665")],
        [("Content-Length", "")],
        [("Content-Length", "1234567890123456")],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "chunked, chunked")],
        [("Transfer-Encoding", "identity")],
        [("Transfer-Encoding", "xchunked")],
        [("Transfer-Encoding", "")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")],
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(headers: list[tuple[str, str]]) -> None:
    """This is what request smuggling is made of."""
    assert refused(HOST, *headers, method="POST").status == 400


def test_equal_heads_with_other_bodies_are_told_apart() -> None:
    """What a head means is kept; how long the body is, whom it is for and in which version, is read each time."""
    for length, method, version in [
        ("5", "POST", "1.1"),
        ("0", "POST", "1.1"),
        ("7", "PUT", "1.0"),
        ("5", "POST", "1.1"),
    ]:
        for name in ("Content-Length", "CONTENT-LENGTH"):
            request = read(HOST, ("X-Note", "a"), (name, length), method=method, version=version)
            assert (request.length, request.method, request.http10) == (int(length), method, version == "1.0")
            assert request.headers == (("x-note", b"a"), IDENTITY)
        assert refused(HOST, ("X-Note", "a"), ("Content-Length", "5"), ("CONTENT-LENGTH", "5")).status == 400


def test_a_refused_head_is_refused_again() -> None:
    """Nothing of it is kept as if it were good."""
    for _ in range(3):
        assert refused(HOST, ("Authorization", TOKEN), ("X-Note", TOKEN)).code == "token_misplaced"
        assert refused(HOST, ("Authorization", TOKEN), target=f"/billing/{TOKEN}").code == "token_misplaced"
        assert refused(HOST, HOST).code == "bad_request"
        assert read(HOST, ("Authorization", TOKEN)).token == TOKEN


def test_chunks_in_http_1_0_are_refused() -> None:
    """That version has none; a server behind might read on."""
    assert refused(HOST, ("Transfer-Encoding", "chunked"), method="POST", version="1.0").status == 400


@pytest.mark.parametrize("name", ["content_length", "transfer_encoding", "Content-Length-", "X-Content-Length"])
def test_twins_of_the_length_frame_nothing(name: str) -> None:
    """Only the real names do."""
    assert read(HOST, (name, "5"), method="POST").length == NO_BODY


# The connection.


def test_fields_that_connection_names_are_dropped() -> None:
    """Also those of other clients' connections; what the shim itself says stays."""
    request = read(
        HOST,
        ("Connection", "X-Hop , close"),
        ("X-HOP", "1"),
        ("X-Kept", "2"),
        ("Connection", "x-second,accept-encoding"),
        ("x-second", "3"),
    )
    assert request.headers == (("x-kept", b"2"), IDENTITY)
    assert b"x-hop" not in request.lines and b"x-second" not in request.lines
    assert request.lines.endswith(b"accept-encoding: identity\r\n")


@pytest.mark.parametrize("name", ["host", "content-length", "authorization"])
def test_connection_cannot_hide_what_the_shim_reads(name: str) -> None:
    """Naming it there takes neither token nor length nor host away."""
    request = read(HOST, ("Authorization", TOKEN), ("Content-Length", "5"), ("Connection", name), method="POST")
    assert (request.token, request.length) == (TOKEN, 5)
    assert request.head(b"", None).count(b"host: ") == 1


@pytest.mark.parametrize(
    ("headers", "version", "kept"),
    [
        ([], "1.1", True),
        ([("Connection", "keep-alive")], "1.1", True),
        ([("Connection", "Close")], "1.1", False),
        ([("Connection", "x, close")], "1.1", False),
        ([], "1.0", False),
        ([("Connection", "keep-alive")], "1.0", False),
    ],
)
def test_whether_the_connection_is_kept(headers: list[tuple[str, str]], version: str, kept: bool) -> None:
    """HTTP/1.1 keeps it unless told otherwise; an HTTP/1.0 agent gets one answer."""
    request = read(HOST, *headers, version=version)
    assert (request.keep_alive, request.http10) == (kept, version == "1.0")


def test_an_offer_to_upgrade_is_not_passed_on() -> None:
    """The request is forwarded as if it had not been made."""
    request = read(HOST, ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"), ("Connection", "Upgrade, HTTP2-Settings"))
    assert request.headers == (IDENTITY,)


@pytest.mark.parametrize("body", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
def test_an_offer_to_upgrade_with_a_body_is_refused(body: tuple[str, str]) -> None:
    """Parsers disagree about where that body ends."""
    assert refused(HOST, ("Upgrade", "h2c"), ("Connection", "keep-alive, Upgrade"), body, method="POST").status == 400


# What else is read.


def test_the_expectation_is_read_and_not_forwarded() -> None:
    """The shim says 100 itself."""
    request = read(HOST, ("Expect", "100-Continue"), ("Content-Length", "5"), method="POST")
    assert request.expect_continue
    assert request.headers == (IDENTITY,)


def test_http_1_0_expects_nothing() -> None:
    """There is no 100 in that version (RFC 9110, section 10.1.1)."""
    assert not read(HOST, ("Expect", "100-continue"), version="1.0").expect_continue


@pytest.mark.parametrize("value", ["", "200-ok", "100-continue, x"])
def test_other_expectations_are_a_417(value: str) -> None:
    """Nothing else can be met."""
    assert refused(HOST, ("Expect", value), method="POST").status == 417


@pytest.mark.parametrize(
    ("headers", "session", "forwarded"),
    [
        ([], "", ()),
        ([("X-Claude-Code-Session-Id", "s-1")], "s-1", (("x-claude-code-session-id", b"s-1"),)),
        ([("X-Penstock-Session", "job 7")], "job 7", ()),
        (
            [("X-Claude-Code-Session-Id", "s-1"), ("X-Penstock-Session", "mine")],
            "mine",
            (("x-claude-code-session-id", b"s-1"),),
        ),
        (
            [("X-Penstock-Session", "mine"), ("X-Claude-Code-Session-Id", "s-1")],
            "mine",
            (("x-claude-code-session-id", b"s-1"),),
        ),
        ([("X-Penstock-Session", "é" * (MAX_SESSION + 50))], "é" * MAX_SESSION, ()),
    ],
)
def test_the_label_of_the_session(
    headers: list[tuple[str, str]], session: str, forwarded: tuple[tuple[str, bytes], ...]
) -> None:
    """The shim's own header wins and stays here; that of the client goes up unchanged."""
    request = read(HOST, *headers)
    assert request.session == session
    assert request.headers == (*forwarded, IDENTITY)

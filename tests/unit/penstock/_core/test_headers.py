"""Sorting of request headers: what goes up, what never does, and what cannot be a header."""

import pytest

from penstock._core.headers import HOP_BY_HOP, MEMO_BYTES, Kind, sort_header
from penstock._core.refusal import RefusedError

LONG = b"x" * MEMO_BYTES + b"\n", b"x" * MEMO_BYTES + b"\xff"
CREDENTIALS = """
authorization proxy-authorization cookie cookie2 x-api-key api-key apikey x-apikey x-auth-token
x-goog-api-key x-amz-security-token private-token x-vault-token x-csrf-token x-access-token ocp-apim-subscription-key"""
PROXIES = """
x-penstock-user x-penstock-decision x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-user
forwarded x-real-ip x-original-url x-rewrite-url x-envoy-original-path
x-http-method-override x-method-override x-http-method x-original-host x-original-uri x-original-method
x-remote-user x-user x-auth-request-email x-ms-client-principal-id
x-goog-iap-jwt-assertion true-client-ip cf-connecting-ip client-ip x-client-ip x-cluster-client-ip"""
OTHERS = """
accept content-type user-agent anthropic-version anthropic-beta x-app x-stainless-lang x-role mcp-session-id
mcp-protocol-version idempotency-key traceparent openai-organization etag x-apikeyx origin referer"""


@pytest.mark.parametrize("name", CREDENTIALS.split())
def test_what_may_hold_a_credential_never_goes_up(name: str) -> None:
    """The agent has no credential that an upstream should see."""
    assert sort_header(name.encode(), b"x").kind is Kind.CREDENTIAL


@pytest.mark.parametrize("name", PROXIES.split())
def test_what_an_upstream_takes_for_the_word_of_a_proxy_is_dropped(name: str) -> None:
    """Forged identity, address and override headers end here."""
    assert sort_header(name.encode(), b"admin").kind is Kind.DROPPED


@pytest.mark.parametrize("name", ["x_role", "x_penstock_user", "content_length", "authorization_", "_", "x-a_b"])
def test_names_with_an_underscore_are_dropped(name: str) -> None:
    """CGI and WSGI servers read x_role as x-role: the twin of a header that was dropped or judged."""
    assert sort_header(name.encode(), b"admin").kind is Kind.DROPPED


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {"connection", "transfer-encoding", "upgrade"}))
def test_fields_of_one_connection_are_dropped(name: str) -> None:
    """Hop-by-hop fields say nothing about the next connection."""
    assert sort_header(name.encode(), b"x").kind is Kind.DROPPED


@pytest.mark.parametrize(
    "name", ["range", "if-range", "x-ms-range", "request-range", "accept-encoding", "te", "trailer"]
)
def test_what_would_blind_the_mask_is_dropped(name: str) -> None:
    """Ranges cut a secret in halves, and codings hide it."""
    assert sort_header(name.encode(), b"x").kind is Kind.DROPPED


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Host", Kind.HOST),
        ("Content-Length", Kind.CONTENT_LENGTH),
        ("Transfer-Encoding", Kind.TRANSFER_ENCODING),
        ("Connection", Kind.CONNECTION),
        ("Expect", Kind.EXPECT),
        ("Upgrade", Kind.UPGRADE),
        ("X-Claude-Code-Session-Id", Kind.SESSION),
        ("X-Penstock-Session", Kind.LABEL),
    ],
)
def test_what_the_shim_reads_itself_is_told_apart(name: str, kind: Kind) -> None:
    """Framing, routing and the session's label are read, whatever the case of the name."""
    for spelt in (name, name.lower(), name.upper()):
        assert sort_header(spelt.encode(), b"1").kind is kind


@pytest.mark.parametrize("name", OTHERS.split())
def test_everything_else_goes_up_as_it_is(name: str) -> None:
    """Clients depend on headers that the shim has never heard of."""
    header = sort_header(name.title().encode(), b" \tSome Value\t ")
    assert header.kind in (Kind.FORWARDED, Kind.LIST)
    assert (header.name, header.value) == (name, b"Some Value")
    assert header.line == name.encode() + b": Some Value\r\n"


def test_only_fields_that_are_lists_may_be_repeated() -> None:
    """Two of another one mean different things to different servers."""
    assert sort_header(b"accept", b"x").kind is Kind.LIST
    assert sort_header(b"anthropic-beta", b"x").kind is Kind.LIST
    assert sort_header(b"content-type", b"x").kind is Kind.FORWARDED
    assert sort_header(b"x-role", b"x").kind is Kind.FORWARDED


@pytest.mark.parametrize(
    "name", [b"", b" a", b"a ", b"a b", b"a:", b"a\r", b"a\n", b"a\0", b"a\xc3\xa9", b"a(", b"a" * (MEMO_BYTES + 1)]
)
def test_a_name_that_is_no_token_is_refused(name: bytes) -> None:
    """Space before the colon and all else that a lenient parser would let through is a 400."""
    with pytest.raises(RefusedError) as caught:
        sort_header(name, b"x")
    assert (caught.value.refusal.status, caught.value.refusal.code) == (400, "bad_header")


@pytest.mark.parametrize(
    "value",
    [
        b"a\r\nb: c",
        b"a\nb",
        b"a\rb",
        b"a\0b",
        b"a\x0bb",
        b"a\x1bb",
        b"a\x7fb",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        *LONG,
    ],
)
def test_a_value_with_control_characters_or_that_is_not_utf8_is_refused(value: bytes) -> None:
    """The reason names the header, never what it holds."""
    with pytest.raises(RefusedError) as caught:
        sort_header(b"X-Role", value)
    refusal = caught.value.refusal
    assert (refusal.status, refusal.code) == (400, "bad_header")
    assert "x-role" in refusal.reason
    assert refusal.reason.isascii() and refusal.reason.isprintable()


@pytest.mark.parametrize("value", [b"", b"a\tb", b"a b", "é ü €".encode(), b"x" * (2 * MEMO_BYTES)])
def test_text_is_taken(value: bytes) -> None:
    """Tabs, UTF-8, emptiness and length are no fault; a second look gives the same."""
    assert sort_header(b"x-note", value).value == value
    assert sort_header(b"x-note", value) == sort_header(b"x-note", value)


def test_a_sorted_header_shows_no_value() -> None:
    """It may be a credential, and tracebacks are logged."""
    assert repr(sort_header(b"X-Api-Key", b"hidden")) == "SortedHeader(CREDENTIAL, x-api-key)"

"""Request targets: one canonical form for every way to write a path, and a refusal where parsers disagree."""

import pytest

from penstock._core.canonical import MEMO_BYTES, canonical_path, split_target
from penstock._core.refusal import RefusedError


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        # Every row of the table of bypasses that is judged rather than refused.
        (b"//admin/x", "/admin/x"),
        (b"/ok/../admin/x", "/admin/x"),
        (b"/./admin/x", "/admin/x"),
        (b"/ok/%2e%2e/admin/x", "/admin/x"),
        (b"/ok/%2E%2e/admin/x", "/admin/x"),
        (b"/ok/.%2e/admin/x", "/admin/x"),
        (b"/ok/%2e./admin/x", "/admin/x"),
        (b"/%2e/admin/x", "/admin/x"),
        (b"/%61dmin/x", "/admin/x"),
        (b"/ADMIN/x", "/ADMIN/x"),
        # Empty and dot segments at other places.
        (b"/", "/"),
        (b"//", "/"),
        (b"/.", "/"),
        (b"/a/..", "/"),
        (b"/a/", "/a/"),
        (b"/a//", "/a/"),
        (b"/a/.", "/a/"),
        (b"/a/b/..", "/a/"),
        (b"///a///b", "/a/b"),
        (b"/a/./../b/", "/b/"),
        # Escapes: unreserved characters bare, everything else with upper-case digits, and what may not stand bare.
        (b"/a%2db%2Ec%5fd%7ee", "/a-b.c_d~e"),
        (b"/a%3bb%2b", "/a%3Bb%2B"),
        (b"/things%3adelete/%40me/%28x%29%21%24%26%27%2c%3D", "/things:delete/@me/(x)!$&',="),
        (b"/a,c=d:e@f+g!h$i&j'k(l)", "/a,c=d:e@f+g!h$i&j'k(l)"),
        (b"/*", "/%2A"),
        (b"/**", "/%2A%2A"),
        (b"/{id}", "/%7Bid%7D"),
        (b'/a"b<c>d|e^f`g', "/a%22b%3Cc%3Ed%7Ce%5Ef%60g"),
        (b"/caf\xc3\xa9", "/caf%C3%A9"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
        (b"/100%25", "/100%25"),
        (b"/100%25zz", "/100%25zz"),
        # Dots that are no dot segments.
        (b"/...", "/..."),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/a..b/..c/d..", "/a..b/..c/d.."),
        (b"/a%3bb/c", "/a%3Bb/c"),
    ],
)
def test_a_path_has_one_canonical_form(written: bytes, canonical: str) -> None:
    """However a path is written, rules see one form of it, and that form is its own canonical form."""
    assert canonical_path(written) == canonical
    assert canonical_path(canonical.encode()) == canonical


@pytest.mark.parametrize(
    "written",
    [
        b"/ok\\..\\admin/x",
        b"/ok/..;/admin/x",
        b"/ok/..;a=b/admin/x",
        b"/ok/.;/admin/x",
        b"/ok/..%3b/admin/x",
        b"/ok/%2e%2e;/admin/x",
        b"/ok/%2e%2e%3B/admin/x",
        b"/..;",
        b"/admin;/x",
        b"/admin;a=b/x",
        b"/x;",
        b"/ok%2f..%2fadmin/x",
        b"/ok%2F..%2Fadmin/x",
        b"/ok%5c..%5cadmin/x",
        b"/ok%00/../admin",
        b"/ok\0",
        b"/%2561dmin/x",
        b"/%25%36%31dmin/x",
        b"/%252e%252e/admin",
        b"/%25252e",
        b"/%25%32%35",
        b"/%c0%ae%c0%ae/admin",
        b"/%e0%80%ae",
        b"/%ed%a0%80",
        b"/\xc0\xae",
        b"/%ff",
        b"/%C3/%A9",
        b"/..",
        b"/../",
        b"/a/../..",
        b"/%2e%2e/admin",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a%%41",
        b"/%u0061dmin",
        b"/a\x7f",
        b"/a%0d%0ahost:%20x",
        b"/a%1f",
        b"/a\r\nb",
        b"/a\tb",
        b"",
        b"a",
        b"*",
        b"./admin",
        b"admin.example:443",
        b"ftp://evil.example/ok",
    ],
)
def test_an_ambiguous_path_is_refused(written: bytes) -> None:
    """What upstreams read in different ways is a 400 before anything is asked, and nothing of it is in the reason."""
    with pytest.raises(RefusedError) as caught:
        canonical_path(written)
    refusal = caught.value.refusal
    assert (refusal.status, refusal.code) == (400, "ambiguous_path")
    assert refusal.reason.startswith("The request was not forwarded: ")
    assert refusal.reason.isascii() and refusal.reason.isprintable()


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a", "/a", ""),
        (b"/a?", "/a", ""),
        (b"/a?x=1&y=%2f..%2F", "/a", "x=1&y=%2f..%2F"),
        (b"/a?b?c", "/a", "b?c"),
        (b"/a?//../\\;{}|^`\"'", "/a", "//../\\;{}|^`\"'"),
        (b"/%61//b/?q", "/a/b/", "q"),
        (b"//evil.example/x?y", "/evil.example/x", "y"),
        (b"/http://evil.example/", "/http:/evil.example/", ""),
    ],
)
def test_the_query_is_judged_and_forwarded_raw(target: bytes, path: str, query: str) -> None:
    """Only the path has a canonical form; what a query means is the upstream's."""
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    "target",
    [
        b"/a#b",
        b"/a?b#c",
        b"/a?b c",
        b"/a?\xc3\xa9",
        b"/a?b\0",
        b"/a?b\x7f",
        b"/a?b\r\nx: y",
        b"?a",
        b"",
    ],
)
def test_a_fragment_and_a_query_that_is_not_printable_are_refused(target: bytes) -> None:
    """No parser behind the shim gets to decide where such a target ends."""
    with pytest.raises(RefusedError) as caught:
        split_target(target)
    assert caught.value.refusal.status == 400


@pytest.mark.parametrize("target", [b"http://evil/ok", b"HTTP://evil/ok", b"https://evil/ok", b"HtTpS://evil:443/"])
def test_a_forward_proxy_request_is_refused_and_says_how_to_come(target: bytes) -> None:
    """Absolute-form names a host of its own, which nothing here judges; agents get there through HTTP_PROXY."""
    with pytest.raises(RefusedError) as caught:
        split_target(target)
    assert caught.value.refusal.status == 400
    assert "HTTP_PROXY" in caught.value.refusal.reason


@pytest.mark.parametrize("size", [MEMO_BYTES - 1, MEMO_BYTES, MEMO_BYTES + 1, 20 * MEMO_BYTES])
def test_long_targets_are_read_like_short_ones(size: int) -> None:
    """Whether a form is kept in memory makes no difference, the second time neither."""
    target = b"/%61/../" + b"b" * (size - 8)
    assert len(target) == size
    for _ in range(2):
        assert split_target(target) == ("/" + "b" * (size - 8), "")
        with pytest.raises(RefusedError):
            split_target(target + b"/%00")

"""Mounts: which upstream a path leads to, and how an upstream is taken apart for the data path."""

import pytest

from penstock._core.mounts import MAX_MASKS, Mounts, Route
from penstock._core.verdict import KnownValue, MaskSpec, ShimConfig, Upstream
from unit.penstock._core.fake_sides import KEY, KNOWN, a_config, an_upstream

KEY_OF_SOMEBODY = b"sk_" + b"live_" + b"4eC39HqLyjWDarjtT1zdp7dc"


def mounted_at(*mounted: str) -> Mounts:
    """Returns mounts at these paths, of upstreams of the same name."""
    return Mounts(ShimConfig(1, tuple(Upstream(mount, "http://up.example", mount) for mount in mounted)))


@pytest.mark.parametrize(
    ("path", "mount", "rest"),
    [
        ("/a", "/a", "/"),
        ("/a/", "/a", "/"),
        ("/a/x/y", "/a", "/x/y"),
        ("/a/b", "/a/b", "/"),
        ("/a/b/x", "/a/b", "/x"),
        ("/a/bc", "/a", "/bc"),
        ("/a/b%20c", "/a", "/b%20c"),
        ("/a/x/a/b", "/a", "/x/a/b"),
    ],
)
def test_the_longest_mount_wins_by_whole_segments(path: str, mount: str, rest: str) -> None:
    """What is left of the path always begins with a slash."""
    found = mounted_at("/a", "/a/b", "/c").find(path)
    assert found is not None
    assert (found[0].upstream.name, found[1]) == (mount, rest)


@pytest.mark.parametrize("path", ["/", "/b", "/ab", "/ab/x", "/A", "/A/x", "/x/a", "/a%20", ""])
def test_other_paths_have_no_upstream(path: str) -> None:
    """A name that only begins like a mount is another name."""
    assert mounted_at("/a").find(path) is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"a.example", "/a"),
        (b"A.Example", "/a"),
        (b"a.example:8080", "/a"),
        (b"b.example:81", "/b"),
        (b"b.example", ""),
        (b"b.example:82", ""),
        (b"x.a.example", ""),
        (b"a.example.", ""),
        (b"a.example:", ""),
        (b"a.example:8080:1", ""),
        (b"", ""),
    ],
)
def test_a_host_leads_to_the_upstream_that_names_it(host: bytes, name: str) -> None:
    """With its port, where one is named; in any case."""
    upstreams = [Upstream("/a", "http://up.example", "/a", hosts=("a.example",))]
    upstreams += [Upstream("/b", "http://up.example", "/b", hosts=("b.example:81",))]
    mounts = Mounts(ShimConfig(1, tuple(upstreams)))
    found = mounts.at(host)
    assert (found.upstream.name if found else "") == name
    assert mounts.by_host and not mounted_at("/a").by_host


def test_without_upstreams_nothing_is_found() -> None:
    """An enrolled shim may serve none yet."""
    assert mounted_at().find("/a") is None
    assert mounted_at().named("a") is None


@pytest.mark.parametrize(
    ("url", "tls", "host", "port", "authority", "base"),
    [
        ("http://up.example", False, "up.example", 80, "up.example", ""),
        ("https://up.example/", True, "up.example", 443, "up.example", ""),
        ("https://UP.Example:8443/base/", True, "up.example", 8443, "up.example:8443", "/base"),
        ("http://up.example:80", False, "up.example", 80, "up.example", ""),
        ("https://up.example:443", True, "up.example", 443, "up.example", ""),
        ("http://up.example:443", False, "up.example", 443, "up.example:443", ""),
        ("http://127.0.0.1:9000", False, "127.0.0.1", 9000, "127.0.0.1:9000", ""),
        ("http://[::1]:9000/a/b", False, "::1", 9000, "[::1]:9000", "/a/b"),
        ("https://[2606:4700::1111]", True, "2606:4700::1111", 443, "[2606:4700::1111]", ""),
    ],
)
def test_an_upstreams_url_is_taken_apart(url: str, tls: bool, host: str, port: int, authority: str, base: str) -> None:
    """The authority is what the upstream sees as Host: without the scheme's own port."""
    route = Route.of(an_upstream(url=url))
    assert (route.tls, route.host, route.port, route.authority, route.base) == (tls, host, port, authority, base)


@pytest.mark.parametrize(
    "url", ["", "up.example", "ftp://up.example", "http://", "http:///x", "http://up.example:99999"]
)
def test_an_unusable_url_is_an_error(url: str) -> None:
    """The shim refuses such a configuration rather than guess."""
    with pytest.raises(ValueError):
        Route.of(an_upstream(url=url))


@pytest.mark.parametrize(
    ("spec", "masks_keys_for_the_agent"),
    [
        (MaskSpec(), False),
        (MaskSpec(detectors=frozenset({"email"})), False),
        (MaskSpec(detectors=frozenset({"secrets"})), True),
        (MaskSpec(detectors=frozenset({"all"})), True),
    ],
)
def test_the_recorded_copy_is_always_masked_with_the_detectors_of_credentials(
    spec: MaskSpec, masks_keys_for_the_agent: bool
) -> None:
    """Known values are masked for the agent and in the recording; keys that nobody stored, always in the recording."""
    route = Route.of(an_upstream(known=(KNOWN,)))
    text = KNOWN.value + b" and " + KEY_OF_SOMEBODY
    shown = route.mask(spec).masker.text(text, key=KEY, place="text").data
    recorded = route.recorded(spec).masker.text(text, key=KEY, place="text").data
    assert KNOWN.value not in shown and KNOWN.value not in recorded
    assert (KEY_OF_SOMEBODY not in shown) is masks_keys_for_the_agent
    assert KEY_OF_SOMEBODY not in recorded
    assert Route.covers(spec) is masks_keys_for_the_agent


def test_the_recorded_copy_keeps_the_detectors_of_an_answer() -> None:
    """Places are masked before, in what the agent gets; masked twice they would show a token of a token."""
    route = Route.of(an_upstream())
    spec = MaskSpec(frozenset({"email"}), frozenset({"/name"}), frozenset({"x-debug"}))
    token = "«header:ABCDEFGHIJ»".encode()
    fields = (("x-debug", token), ("x-mail", b"ada@" + b"example.com"))
    masked = dict(route.recorded(spec).mask(fields, KEY, {}))
    assert masked["x-debug"] == token and b"ada@" not in masked["x-mail"]


def test_masks_are_kept_and_bounded() -> None:
    """The same set of rules gives the same compiled mask; many sets do not fill the memory."""
    route = Route.of(an_upstream())
    first = route.mask(MaskSpec(json=frozenset({"/a"})))
    assert route.mask(MaskSpec(json=frozenset({"/a"}))) is first
    for index in range(MAX_MASKS + 5):
        route.mask(MaskSpec(json=frozenset({f"/{index}"})))
    again = route.mask(MaskSpec(json=frozenset({"/a"})))
    assert again is not first
    assert again.masker.whole("application/json", "", b'{"a":"x1y2z3"}', key=KEY).data != b'{"a":"x1y2z3"}'


def test_a_route_shows_no_secret() -> None:
    """Its upstream's known values are not in its representation."""
    assert KNOWN.value.decode() not in repr(Route.of(an_upstream(known=(KNOWN,))))


def test_every_upstream_is_masked_with_the_secrets_of_all() -> None:
    """One upstream may return what another one's credential is made of."""
    other = KnownValue("other-key", b"other-" + b"value-1234")
    mounts = Mounts(a_config(an_upstream(known=(KNOWN,)), an_upstream("other", known=(other, KNOWN))))
    for name in ("billing", "other"):
        route = mounts.named(name)
        assert route is not None and set(route.known) == {KNOWN, other}
        shown = route.mask(MaskSpec()).masker.whole("text/plain", "", KNOWN.value + b" " + other.value, key=KEY).data
        assert KNOWN.value not in shown and other.value not in shown
    assert mounts.named("nobody") is None


def test_a_route_leads_to_the_same_place_whatever_its_secrets_are() -> None:
    """Anything else that differs is another way."""
    one, rotated = Route.of(an_upstream()), Route.of(an_upstream(known=(KNOWN,)))
    assert one.leads_where(rotated) and rotated.leads_where(one)
    assert not one.leads_where(Route.of(an_upstream(url="http://billing.example/base")))

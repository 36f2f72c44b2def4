"""Upstreams: URLs in one form, mounts, credentials, and what is reserved."""

import pytest

from penstock_server.domain.policy import CredentialUse, Upstream
from unit.penstock_server.document.policies import problems, read


def one(keys: str) -> Upstream:
    """Returns the upstream "u" with these keys."""
    [upstream] = read(f"secrets: [k]\nupstreams: {{u: {{{keys}}}}}").policy.upstreams
    return upstream


def wrong(keys: str) -> dict[str, str]:
    """Returns what is wrong with the upstream "u"."""
    return problems(f"secrets: [k]\nupstreams: {{u: {{{keys}}}}}")


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://API.example.com", "https://api.example.com"),
        ("HTTPS://api.example.com:443/", "https://api.example.com"),
        ("http://api.example.com:80/v1/", "http://api.example.com/v1"),
        ("https://api.example.com:8443/a/b.c", "https://api.example.com:8443/a/b.c"),
        ("https://9.9.9.9", "https://9.9.9.9"),
        ("https://[2606:4700::1111]:8443", "https://[2606:4700::1111]:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_url_has_one_normal_form(url: str, normal: str) -> None:
    """Host in lower case, no default port, no final slash."""
    assert one(f'url: "{url}"').url == normal


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ftp://a", "http:// or https://"),
        ("https:a", "http:// or https://"),
        ("//a", "http:// or https://"),
        ("https://", "must name a host"),
        ("https://u:p@a", "user or password"),
        ("https://@a", "user or password"),
        ("https://a?", "query"),
        ("https://a/#x", "fragment"),
        ("https://a:0", "must name a host"),
        ("https://a:", "must name a host"),
        ("https://a:99999", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://a..b", "must name a host"),
        ("https://a_.b", "must name a host"),
        ("https://bücher.example", "must name a host"),
        ("https://010.0.0.1", "must name a host"),
        ("https://127.1", "must name a host"),
        ("https://0177.0.0.1", "must name a host"),
        ("https://0x7f.0.0.1", "must name a host"),
        ("https://0xA9FEA9FE", "must name a host"),
        ("https://[::ffff:127.0.0.1]", "must name a host"),
        ("https://[::ffff:7f00:1]", "private"),
        ("https://0x7f000001", "must name a host"),
        ("https://2130706433", "must name a host"),
        ("https://[0:0:0:0:0:0:0:1]", "must name a host"),
        ("https://a/b//c", "canonical"),
        ("https://a/../b", "canonical"),
        ("https://a/%41", "canonical"),
        ("https://a/b c", "canonical"),
        ("http://127.0.0.1", "private"),
        ("http://localhost:80", "private"),
        ("https://10.1.2.3", "private"),
        ("https://169.254.169.254", "private"),
        ("https://[::1]", "private"),
    ],
)
def test_any_other_url_is_refused(url: str, what: str) -> None:
    """Nothing that two parsers could read differently names a target; private targets must be meant."""
    assert what in wrong(f'url: "{url}"')["upstreams.u.url (line 2)"]


def test_no_credential_goes_over_the_public_network_in_the_clear() -> None:
    """Plain http with a credential is refused at the url's line, unless the upstream's addresses are private."""
    text = "secrets: [k]\nupstreams:\n  u:\n    credential: {secret: k}\n    url: http://api.example.com\n"
    assert problems(text) == {
        "upstreams.u.url (line 5)": "would send the secret in the clear over the public network; use https"
    }
    assert read(text.replace("http:", "https:")).policy.upstreams[0].credential
    assert read(text + "    addresses: private\n").policy.upstreams[0].credential
    assert one("url: http://api.example.com").credential is None


def test_private_addresses_must_be_said() -> None:
    """Loopback is reachable only where the policy says so."""
    assert one('url: "http://127.0.0.1:1", addresses: private').private_addresses


def test_defaults() -> None:
    """The mount is the name; tokens come in Authorization; no credential, no private addresses."""
    assert one('url: "https://a"') == Upstream("u", "https://a", "/u")


@pytest.mark.parametrize(
    ("keys", "use"),
    [
        ("secret: k", CredentialUse("k", "authorization", "Bearer {}")),
        ("secret: k, header: X-Api-Key", CredentialUse("k", "x-api-key", "{}")),
        ('secret: k, header: X-A, format: "token={}"', CredentialUse("k", "x-a", "token={}")),
    ],
)
def test_a_credential_says_where_its_secret_goes(keys: str, use: CredentialUse) -> None:
    """A Bearer token in Authorization, the bare secret in any other header, or as written."""
    assert one(f'url: "https://a", credential: {{{keys}}}').credential == use


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ("credential: {}", "upstreams.u.credential (line 2)"),
        ("credential: {secret: other}", "upstreams.u.credential.secret (line 2)"),
        ("credential: {secret: k, header: a_b}", "upstreams.u.credential.header (line 2)"),
        ("credential: {secret: k, header: Host}", "upstreams.u.credential.header (line 2)"),
        ("credential: {secret: k, format: x}", "upstreams.u.credential.format (line 2)"),
        ('credential: {secret: k, format: "{}{}"}', "upstreams.u.credential.format (line 2)"),
        ('credential: {secret: k, format: "{{}}"}', "upstreams.u.credential.format (line 2)"),
        ('credential: {secret: k, format: "{}\\r\\nx: y"}', "upstreams.u.credential.format (line 2)"),
        ("credential: {secret: k, haeder: x}", "upstreams.u.credential.haeder (line 2)"),
        ("mount: /", "upstreams.u.mount (line 2)"),
        ("mount: u", "upstreams.u.mount (line 2)"),
        ("mount: /u/", "upstreams.u.mount (line 2)"),
        ("mount: /u/../v", "upstreams.u.mount (line 2)"),
        ("mount: /%75", "upstreams.u.mount (line 2)"),
        ("dialect: soap", "upstreams.u.dialect (line 2)"),
        ("addresses: any", "upstreams.u.addresses (line 2)"),
        ("token_from: []", "upstreams.u.token_from (line 2)"),
        ("token_from: [x-a, X-A]", "upstreams.u.token_from (line 2)"),
        ("token_from: [content-length]", "upstreams.u.token_from[0] (line 2)"),
        ("hosts: []", "upstreams.u.hosts (line 2)"),
        ("hosts: [a, A]", "upstreams.u.hosts[1] (line 2)"),
        ('hosts: ["a:0"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["a:b"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["a:"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["[::1]"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["*.a"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["a/b"]', "upstreams.u.hosts[0] (line 2)"),
        ('hosts: ["a."]', "upstreams.u.hosts[0] (line 2)"),
        ("intercept: true", "upstreams.u.intercept (line 2)"),
        ("record: true", "upstreams.u.record (line 2)"),
        ("pass_headers: [a]", "upstreams.u.pass_headers (line 2)"),
    ],
)
def test_a_wrong_key_is_refused_at_its_place(keys: str, where: str) -> None:
    """Each problem points at the key; reserved keys say that they do nothing yet."""
    found = wrong(f'url: "https://a", {keys}')
    assert list(found) == [where]
    assert ("reserved" in found[where]) == (keys.split(":")[0] in {"intercept", "record", "pass_headers"})


def test_an_upstream_is_found_by_the_hosts_that_it_names() -> None:
    """In lower case; no two upstreams share one, and the same host with and without a port are two."""
    assert one('url: "https://a", hosts: [Api.Example.com, "10.0.0.1:8080"]').hosts == (
        "api.example.com",
        "10.0.0.1:8080",
    )
    text = 'upstreams:\n  a: {url: "https://a", hosts: [h, x]}\n  b: {url: "https://b", hosts: ["h:80", X]}\n'
    assert problems(text) == {"upstreams.b (line 3)": 'its host "x" is taken by the upstream "a"'}
    assert len(read(text.replace(", X", "")).policy.upstreams) == 2


def test_mounts_and_names_are_unique() -> None:
    """Two upstreams never share a mount, and names are simple."""
    text = (
        'upstreams:\n  a: {url: "https://a", mount: /x}\n  b: {url: "https://b", mount: /x}\n  c d: {url: "https://c"}'
    )
    found = problems(text)
    assert found["upstreams.b (line 3)"] == 'its mount "/x" is taken by the upstream "a"'
    assert "name" in found["upstreams.c d (line 4)"]


def test_a_url_is_required() -> None:
    """An upstream without a target is none."""
    assert "url is missing" in wrong("mount: /u")["upstreams.u (line 2)"]

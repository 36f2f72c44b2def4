"""Reads `upstreams:`: a mapping of names to what each target is."""

import ipaddress
import re
from urllib.parse import urlsplit

from penstock._core.describe import DEFAULT_PORTS, authority_of
from penstock_server.document._fields import Field
from penstock_server.domain.policy import CredentialUse, Dialect, Upstream

__all__ = ["NAME", "NAME_RULE", "TOKEN", "read_upstreams"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "a name of 1 to 64 letters, digits, dots, dashes or underscores"
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,64}")
"""A header name (RFC 9110, 5.6.2), without underscores, which gateways confuse with dashes."""

_KEYS = ("url", "mount", "hosts", "dialect", "credential", "token_from", "addresses")
_LATER = "is reserved for a later version and does nothing yet; remove it"
_RESERVED = dict.fromkeys(("intercept", "record", "pass_headers"), _LATER)
_MOUNT = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_BASE = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FORMAT = re.compile(r"[\x20-\x7e]{1,256}")
_FRAMING = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def read_upstreams(field: Field, secrets: frozenset[str]) -> tuple[Upstream, ...]:
    """Returns the upstreams that are well-formed, by name; notes the problems of the others."""
    result: dict[str, Upstream] = {}
    mounts: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for name, child in (field.entries("upstream names") or {}).items():
        if not NAME.fullmatch(name):
            child.refuse(f"an upstream's name must be {NAME_RULE}")
            continue
        upstream = _read_upstream(name, child, secrets)
        if upstream is None:
            continue
        if upstream.mount in mounts:
            child.refuse(f'its mount "{upstream.mount}" is taken by the upstream "{mounts[upstream.mount]}"')
            continue
        mounts[upstream.mount] = name
        taken = [host for host in upstream.hosts if host in hosts]
        for host in taken:
            child.refuse(f'its host "{host}" is taken by the upstream "{hosts[host]}"')
        if taken:
            continue
        hosts |= dict.fromkeys(upstream.hosts, name)
        result[name] = upstream
    return tuple(result[name] for name in sorted(result))


def _read_upstream(name: str, field: Field, secrets: frozenset[str]) -> Upstream | None:
    """Returns one upstream, or None after noting why not."""
    before = len(field.problems.found)
    keys = field.mapping(_KEYS, _RESERVED)
    if keys is None:
        return None
    url: str | None = None
    if "url" in keys:
        url = _read_url(keys["url"])
    else:
        field.refuse("url is missing, e.g. url: https://api.example.com")
    rule = "an absolute path of letters, digits and -._~ without a final slash, e.g. /billing"
    mount = keys["mount"].matching(_MOUNT, rule) if "mount" in keys else f"/{name}"
    hosts = _read_hosts(keys["hosts"]) if "hosts" in keys else ()
    dialect = keys["dialect"].choice(Dialect) if "dialect" in keys else Dialect.PROBLEM
    credential = _read_credential(keys["credential"], secrets) if "credential" in keys else None
    token_from = _read_token_from(keys["token_from"]) if "token_from" in keys else ("authorization",)
    addresses = keys["addresses"].choice(("public", "private")) if "addresses" in keys else "public"
    if url is not None and addresses == "public" and _is_private(url):
        keys["url"].refuse("is a loopback or private address; say addresses: private if that is meant")
    elif url is not None and addresses == "public" and url.startswith("http:") and "credential" in keys:
        keys["url"].refuse("would send the secret in the clear over the public network; use https")
    if len(field.problems.found) > before or not (url and mount and dialect and token_from):
        return None
    return Upstream(name, url, mount, Dialect(dialect), credential, token_from, addresses == "private", hosts)


def _read_url(field: Field) -> str | None:
    """Returns scheme://host[:port][/base] in normal form: host in lower case, no default port, no final slash."""
    text = field.text()
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        field.refuse("is not a URL")
        return None
    host = (parts.hostname or "").lower()
    base = parts.path.rstrip("/")
    if parts.scheme not in DEFAULT_PORTS or not text.lower().startswith(f"{parts.scheme}://"):
        field.refuse("must start with http:// or https://")
    elif "@" in parts.netloc:
        field.refuse("may not hold a user or password; use credential")
    elif "?" in text or "#" in text:
        field.refuse("may not have a query or a fragment")
    elif not _is_host(host, parts.netloc) or port == 0:
        field.refuse("must name a host in ASCII, and a port from 1 to 65535 if any")
    elif not _BASE.fullmatch(base):
        field.refuse("its path must be canonical: no //, no . or .. and nothing percent-encoded")
    else:
        return f"{parts.scheme}://{authority_of(text)}{base}"
    return None


def _read_hosts(field: Field) -> tuple[str, ...]:
    """Returns host or host:port each, in lower case."""
    hosts = []
    for item, text in field.texts():
        host, colon, port = text.lower().partition(":")
        if text.startswith("[") or (colon and not re.fullmatch(r"[1-9][0-9]{0,4}", port)) or not _is_host(host, host):
            item.refuse("must be a host name or an IPv4 address, with a port if only that one is meant")
        elif text.lower() in hosts:
            item.refuse("is listed twice")
        else:
            hosts.append(text.lower())
    return tuple(hosts)


def _is_host(host: str, netloc: str) -> bool:
    """Returns whether a host is a DNS name or an address literal in its one usual form."""
    if netloc.endswith(":"):
        return False
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        # What ends in a number would be read as an IPv4 address by some resolvers (WHATWG URL, host parsing).
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)", host.rpartition(".")[2])


def _is_private(url: str) -> bool:
    """Returns whether the URL's host is plainly not on the public Internet; names are judged when they resolve."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _read_credential(field: Field, secrets: frozenset[str]) -> CredentialUse | None:
    """Returns how the upstream's secret is used."""
    keys = field.mapping(("secret", "header", "format")) or {}
    if "secret" not in keys:
        field.refuse("secret is missing: the name of a secret under secrets:")
        return None
    secret = keys["secret"].text()
    if secret is not None and secret not in secrets:
        keys["secret"].refuse("is not declared under secrets:")
        return None
    header = _read_header(keys["header"]) if "header" in keys else "authorization"
    default = "Bearer {}" if header == "authorization" else "{}"
    rule = "printable ASCII with one {} where the secret goes"
    text = keys["format"].matching(_FORMAT, rule) if "format" in keys else default
    if text is not None and (text.count("{}") != 1 or text.replace("{}", "").strip("{}") != text.replace("{}", "")):
        keys["format"].refuse(f"must be {rule}")
        return None
    return CredentialUse(secret, header, text) if secret and header and text else None


def _read_token_from(field: Field) -> tuple[str, ...]:
    """Returns lower-case header names."""
    headers = [_read_header(item) for item, _ in field.texts()]
    names = [header for header in headers if header is not None]
    if len(set(names)) != len(names):
        field.refuse("names a header twice")
    return tuple(names)


def _read_header(field: Field) -> str | None:
    """Returns a header name in lower case that may carry a token."""
    text = field.matching(TOKEN, "a header name")
    if text is not None and text.lower() in _FRAMING:
        field.refuse(f"{text.lower()} cannot carry a credential")
        return None
    return text.lower() if text is not None else None

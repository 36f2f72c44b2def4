"""Brings a request target into its one canonical form, or refuses it: two parsers must never read it in two ways.

In: the target of a request line, in origin form. Out: canonical path and raw query. Rules (RFC 3986, section 6.2.2):

- "." and ".." are resolved, also where they were percent-encoded; ".." above the root is refused.
- Empty segments are dropped, except a last one: "//a/" is "/a/".
- Unreserved characters are decoded, and those that mean the same bare to nearly every server: "%3Adelete" is ":delete"
  to most, so a rule about one must find the other. Kept escaped or bare, as they came, are "+" (a space to some) and
  what follows; every escape has upper-case digits, and what may not stand bare in a path is escaped. "*" counts as
  such: no rule can name it bare.
- Refused, because upstreams disagree about it: encoded slash, backslash or NUL, a bare backslash, an escape of an
  escape, escapes that are not UTF-8, control characters, a fragment, and a bare semicolon: servlets cut a segment off
  there, so that "/admin;x" is "/admin" to them. Encoded it is text to all, except behind dots: "..%3B" and ".%3B".
"""

import re
from functools import lru_cache
from typing import NoReturn

from penstock._core.refusal import RefusedError

__all__ = ["BARE", "SAME_BARE", "canonical_path", "split_target"]

MEMO_BYTES = 1024
"""Longest target in bytes whose canonical form is kept."""

SAME_BARE = r"A-Za-z0-9\-._~!$&'(),=:@"
"""Characters, as a class of a pattern holds them, that are decoded: they mean the same bare and escaped."""
BARE = SAME_BARE + "+"
"""Characters that stand bare in a canonical path, in the same form."""

_PLAIN = re.compile(rf"(?:/(?!\.\.?(?:/|\Z))[{BARE}]+)+/?|/".encode())
"""A path that is canonical as it stands."""
_QUERY = re.compile(rb"[!\"$-~]*")
"""Printable ASCII without "#" (0x23); what a query means is the upstream's, so it is judged and forwarded raw."""
_BARE = re.compile(f"[{BARE}]".encode())
_SAME_BARE = re.compile(f"[{SAME_BARE}]".encode())
_TWICE = re.compile(rb"%25[0-9A-Fa-f]{2}")
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")


def split_target(target: bytes) -> tuple[str, str]:
    """Returns (canonical path, raw query without "?"). Raises RefusedError (400) for what is ambiguous."""
    return _kept(target) if len(target) <= MEMO_BYTES else _split(target)


def canonical_path(path: bytes) -> str:
    """Returns the canonical form of an absolute path. Raises RefusedError (400)."""
    if _PLAIN.fullmatch(path):
        return path.decode("ascii")
    if not path.startswith(b"/"):
        _refuse("the request target must be an absolute path such as /v1/things")
    segments: list[bytes] = []
    last = b""
    for raw in path[1:].split(b"/"):
        last = _segment(raw)
        if last == b"..":
            if not segments:
                _refuse("the path leads above the root")
            segments.pop()
        elif last not in (b"", b"."):
            segments.append(last)
    slash = b"/" if last in (b"", b".", b"..") and segments else b""
    return (b"/" + b"/".join(segments) + slash).decode("ascii")


@lru_cache(4096)
def _kept(target: bytes) -> tuple[str, str]:
    return _split(target)


def _split(target: bytes) -> tuple[str, str]:
    if target[:7].lower() in (b"http://", b"https:/"):
        _refuse("this shim is no forward proxy: set the base URL to http://SHIM/UPSTREAM, and unset HTTP_PROXY")
    if b"#" in target:
        _refuse("the request target has a fragment")
    path, _, query = target.partition(b"?")
    if not _QUERY.fullmatch(query):
        _refuse("the query has characters that must be percent-encoded")
    return canonical_path(path), query.decode("ascii")


def _segment(raw: bytes) -> bytes:
    """Returns one segment in canonical form; b"." and b".." stand for themselves."""
    out = bytearray()
    octets = bytearray()
    at = 0
    while at < len(raw):
        byte = raw[at : at + 1]
        if byte == b"%":
            digits = raw[at + 1 : at + 3]
            if not _HEX.fullmatch(digits):
                _refuse("the path has a percent sign that is no escape")
            octet = bytes([int(digits, 16)])
            if octet in (b"/", b"\\", b"\0"):
                _refuse("the path has an encoded slash, backslash or NUL")
            out += octet if _SAME_BARE.fullmatch(octet) else b"%" + digits.upper()
            octets += octet
            at += 3
            continue
        if byte == b"\\":
            _refuse("the path has a backslash")
        if byte == b";":
            _refuse("the path has a semicolon, which some upstreams cut it off at; percent-encode it")
        out += byte if _BARE.fullmatch(byte) else b"%%%02X" % byte[0]
        octets += byte
        at += 1
    if _TWICE.search(out):
        _refuse("the path has an escape of an escape")
    if any(octet < 0x20 or octet == 0x7F for octet in octets):
        _refuse("the path has control characters")
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("the path is not UTF-8")
    if re.match(rb"\.\.?%3B", out):
        _refuse("the path has a dot segment with a parameter")
    return bytes(out)


def _refuse(reason: str) -> NoReturn:
    raise RefusedError(400, "ambiguous_path", f"The request was not forwarded: {reason}.")

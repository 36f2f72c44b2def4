"""Spells a stored secret in the encodings in which an answer may carry it.

In: the exact bytes of a secret. Out: literals to search for. Source of the list: what clients, servers and people's
tools do to values (JSON, URLs, XML and HTML, shells, Basic credentials, hex dumps, PowerShell's UTF-16).
"""

import base64
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from xml.sax.saxutils import escape

__all__ = ["MIN_ANYWHERE", "is_exact_only", "spellings"]

MIN_ANYWHERE = 8
"""Bytes from which on a value is masked anywhere; shorter ones only where they are a whole JSON string or number."""
MIN_LITERAL = 8
"""Bytes of the shortest encoded form that is searched for: shorter ones would hit by chance."""
MIN_MEMBER = 16
"""Bytes of the shortest string inside of a secret that is JSON (a service account) which is searched for by itself;
MIN_ANYWHERE where its name tells that it is secret."""
MIN_DISTINCT = 4
"""Different bytes that a line of a secret must have: rulers and blank lines are not secret."""
FOLDS = (76, 64)
"""Characters to a line of folded base64: MIME and `base64`, then PEM and `openssl`."""
FOLDED_LIMIT = 128
"""Bytes of the longest value that is looked for in base64 which is folded anywhere in it: two hundred literals each."""

_WIDEST_UNIT = 0xFFFF
_TELLING = re.compile(r"pass|pw|secret|key|token|credential|auth", re.IGNORECASE)

COMMON = frozenset(
    b"password passw0rd password1 changeme changeit default1 development production staging testing localhost "
    b"administrator undefined disabled required optional username anonymous 12345678 123456789 1234567890 "
    b"00000000 11111111 application/json".split()
)
"""Values that people use although they are words: masked as a whole JSON string only, as all would hurt."""


def is_exact_only(value: bytes) -> bool:
    """Returns whether a value is too short or too common to be masked anywhere."""
    return len(value) < MIN_ANYWHERE or value.lower() in COMMON


def spellings(value: bytes) -> frozenset[bytes]:
    """Returns every literal that stands for the value, itself included; empty if it is exact only."""
    found: set[bytes] = set()
    for part in _parts(value):
        found.update(form for form in _forms(part) if len(form) >= MIN_LITERAL)
    if found and len(value) <= FOLDED_LIMIT:
        found.update(_folded_forms(value))
    return frozenset(found)


def _parts(value: bytes) -> Iterator[bytes]:
    """Yields the value, its lines if there are several, and its strings if it is JSON."""
    stripped = value.strip()
    if is_exact_only(stripped):
        return
    yield value
    if stripped != value:
        yield stripped
    if stripped[:1] in (b"{", b"["):
        for member in _members(stripped):
            yield member
            yield from _lines(member)
    yield from _lines(stripped)


def _lines(value: bytes) -> Iterator[bytes]:
    """Yields each line of several that can be secret: PEM boundaries, rulers and blank lines are not."""
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (
            line
            for line in lines
            if not is_exact_only(line) and len(set(line)) >= MIN_DISTINCT and not line.startswith(b"-----")
        )


def _members(value: bytes) -> Iterator[bytes]:
    """Yields a secret that is JSON as others write it, and the strings in it that are neither prose nor an address."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return
    for separators in ((",", ":"), (", ", ": ")):
        yield json.dumps(document, separators=separators).encode()
        yield json.dumps(document, separators=separators, ensure_ascii=False).encode("utf-8", "surrogatepass")
    waiting = [("", document)]
    while waiting:
        name, inner = waiting.pop()
        if isinstance(inner, dict):
            waiting.extend(inner.items())
        elif isinstance(inner, list):
            waiting.extend((name, element) for element in inner)
        elif isinstance(inner, str):
            member = inner.strip().encode("utf-8", "surrogatepass")
            least = MIN_ANYWHERE if _TELLING.search(name) else MIN_MEMBER
            is_prose = b" " in member and b"\n" not in member
            is_address = member.startswith((b"http://", b"https://"))
            if len(member) >= least and not (is_prose or is_address or is_exact_only(member)):
                yield member


def _forms(value: bytes) -> Iterator[bytes]:
    yield value
    yield from _hex_forms(value)
    yield from _base64_forms(value)
    yield from _percent_forms(value)
    yield value.decode("latin-1").encode()  # by what reads headers as latin-1 and writes UTF-8
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    for once in _json_forms(text):
        yield once.encode()
        yield from (twice.encode() for twice in _json_forms(once))
    yield from (form.encode() for form in _markup_forms(text))
    yield from (form.encode() for form in _shell_forms(text))
    yield from _surrogate_forms(text)
    for encoding in ("latin-1", "utf-16-le", "utf-16-be"):
        try:
            encoded = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        yield encoded
        if encoding == "utf-16-le":
            yield from _base64_forms(encoded)


def _surrogate_forms(text: str) -> Iterator[bytes]:
    """Yields the text with a character beyond U+FFFF as two halves, as two pieces of a stream may tell them."""
    for at, character in enumerate(text):
        if ord(character) > _WIDEST_UNIT:
            units = character.encode("utf-16-le")
            halves = [units[half:][:2].decode("utf-16-le", "surrogatepass") for half in (0, 2)]
            yield "".join([text[:at], *halves, text[at + 1 :]]).encode("utf-8", "surrogatepass")


def _json_forms(text: str) -> set[str]:
    """Returns the insides of the JSON strings for the text as common writers make them."""
    found: set[str] = set()
    for plain in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        for safe in (plain, plain.replace("/", "\\/")):  # PHP
            for form in (safe, _unicode_escaped(safe, "<>&"), _unicode_escaped(safe, "<>&'+`")):  # Go; .NET
                found.update((form, _upper_escapes(form), _upper_escapes(form).replace('\\"', "\\u0022")))
    return found


def _unicode_escaped(form: str, characters: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in characters else c for c in form)


def _upper_escapes(form: str) -> str:
    return re.sub(r"\\u[0-9a-f]{4}", lambda match: "\\u" + match[0][2:].upper(), form)


def _markup_forms(text: str) -> Iterator[str]:
    yield escape(text)
    yield escape(text, {'"': "&quot;"})
    yield escape(text, {'"': "&quot;", "'": "&#39;"})
    yield escape(text, {'"': "&quot;", "'": "&#x27;"})  # Python
    yield escape(text, {'"': "&quot;", "'": "&apos;"})
    yield escape(text, {'"': "&#34;", "'": "&#39;"})  # Go
    yield escape(text, {'"': "&#34;", "'": "&#39;", "+": "&#43;"})  # Go's html/template
    yield escape(text, {'"': "&quot;", "'": "&#39;", "/": "&#x2F;", "`": "&#x60;", "=": "&#x3D;"})  # mustache


def _shell_forms(text: str) -> Iterator[str]:
    yield text.replace("'", "'\\''")
    yield shlex.quote(text)[1:-1] if shlex.quote(text) != text else text
    yield re.sub(r'(["$`\\])', r"\\\1", text)
    yield re.sub(r"([^A-Za-z0-9_@%+=:,./-])", r"\\\1", text)


def _percent_forms(value: bytes) -> Iterator[bytes]:
    forms = {
        urllib.parse.quote_from_bytes(value, safe=""),
        urllib.parse.quote_from_bytes(value),
        urllib.parse.quote_from_bytes(value, safe="!'()*~"),  # encodeURIComponent
        urllib.parse.quote_from_bytes(value, safe="!#$&'()*+,/:;=?@~"),  # encodeURI
        urllib.parse.quote_plus(value),
        urllib.parse.quote_plus(value, safe="*").replace("~", "%7E"),  # forms in browsers
    }
    forms.update(urllib.parse.quote(form, safe="") for form in tuple(forms))
    for form in forms:
        yield form.encode()
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form).encode()
    yield b"".join(b"%%%02X" % byte for byte in value)
    yield b"".join(b"%%%02x" % byte for byte in value)


def _hex_forms(value: bytes) -> Iterator[bytes]:
    for hexed in (
        value.hex(),
        value.hex(" "),
        value.hex(":"),
        value.hex(" ", -2),
        "".join(f"\\x{b:02x}" for b in value),
    ):
        yield hexed.encode()
        yield hexed.upper().encode() if "\\" not in hexed else hexed.encode()


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """Yields the characters that only the value decides, for each place at which it may begin in a group of three."""
    for before in range(3):
        _, stable = _stable_base64(value, before)
        lines = [stable]
        if before == 0:
            lines += [stable[at : at + fold] for fold in FOLDS for at in range(0, len(stable), fold)]
        for line in lines:
            yield line
            yield line.replace(b"+", b"-").replace(b"/", b"_")


def _folded_forms(value: bytes) -> Iterator[bytes]:
    """Yields what lines of base64 hold of a value that stands amid other text: it may begin anywhere in a line."""
    for before in range(3):
        first, stable = _stable_base64(value, before)
        for fold in FOLDS:
            for begin in range((-first - 1) % 4 + 1, min(fold, len(stable) - 1) + 1, 4):  # lines are whole groups of 4
                lines = [stable[:begin], *(stable[at : at + fold] for at in range(begin, len(stable), fold))]
                yield b"\n".join(lines)
                yield b"\r\n".join(lines)


def _stable_base64(value: bytes, before: int) -> tuple[int, bytes]:
    """Returns which character of base64 only the value decides, with so many bytes before it, and all such."""
    encoded = base64.b64encode(b"\0" * before + value)
    first = (before * 8 + 5) // 6
    return first, encoded[first : (before + len(value)) * 8 // 6]

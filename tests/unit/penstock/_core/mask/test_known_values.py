"""In which spellings a stored secret is searched for, and which values are too short or too common for that."""

import base64
import html
import json
import re
import shlex
import urllib.parse
from collections.abc import Callable
from xml.sax.saxutils import escape

import pytest

from penstock._core.mask.finder import Finder
from penstock._core.mask.known_values import MIN_LITERAL, is_exact_only, spellings
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream
from penstock._core.verdict import KnownValue

VALUES = {
    "plain": b"kN0wn-Value_47",
    "punctuated": b"""a"b'c\\d/e<f>g&h=i+j k%l$m`n~o!p*q(r)s;t:u@v,w?x#y[z]{1}|2^3""",
    "umlaut": "schlüßel-größe-☃-9".encode(),
    "lines": b"first line 1\nsecond line 2\r\nthird\tline 3",
    "surrogates": "key-🔑-of-four-bytes".encode(),
    "eight": b"h8+/=?~z",
}


def as_json(text: str) -> str:
    """Returns the inside of a JSON string in ASCII."""
    return json.dumps(text)[1:-1]


def plain_json(text: str) -> str:
    """Returns the inside of a JSON string with all characters as they are."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


TEXT_FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "json": as_json,
    "json, not ascii": plain_json,
    "json twice": lambda text: as_json(as_json(text)),
    "json twice, not ascii": lambda text: plain_json(plain_json(text)),
    "json, then ascii": lambda text: as_json(plain_json(text)),
    "json with slashes escaped": lambda text: as_json(text).replace("/", "\\/"),
    "json for html": lambda text: plain_json(text).translate({60: "\\u003c", 62: "\\u003e", 38: "\\u0026"}),
    "xml text": escape,
    "xml attribute": lambda text: escape(text, {'"': "&quot;"}),
    "html": html.escape,
    "shell": lambda text: shlex.quote(text)[1:-1] if shlex.quote(text) != text else text,
    "shell, single quotes": lambda text: text.replace("'", "'\\''"),
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "url path": urllib.parse.quote,
    "url, small digits": lambda text: "".join(
        c if re.fullmatch("[A-Za-z0-9_.~-]", c) else "".join(f"%{b:02x}" for b in c.encode()) for c in text
    ),
    "form": urllib.parse.quote_plus,
    "url twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "utf-16 in base64": lambda text: base64.b64encode(text.encode("utf-16-le")).decode()[
        : len(text.encode("utf-16-le")) * 8 // 6
    ],
}
BYTE_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "hex": lambda value: value.hex().encode(),
    "HEX": lambda value: value.hex().upper().encode(),
    "hex with colons": lambda value: value.hex(":").encode(),
    "hex with blanks": lambda value: value.hex(" ").encode(),
    "every byte in percent": lambda value: b"".join(b"%%%02X" % byte for byte in value),
}


def left_over(value: bytes, text: bytes) -> bytes:
    """Returns what remains of a text when the value's one token is taken out of it."""
    mint = Mint(b"key")
    out = TextStream(Finder((KnownValue("it", value),), frozenset()), mint).feed(text, last=True)
    return out.replace(Mint(b"key").token("it", value), b"")


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("form", TEXT_FORMS)
def test_every_spelling_of_a_text_is_covered_whole(name: str, form: str) -> None:
    """JSON once and twice, XML, shells and URLs as common writers make them, with nothing left over."""
    spelled = TEXT_FORMS[form](VALUES[name].decode()).encode()
    assert left_over(VALUES[name], b"<[" + spelled + b"]>") == b"<[]>"


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("form", BYTE_FORMS)
def test_every_spelling_of_bytes_is_covered_whole(name: str, form: str) -> None:
    """Hex in both cases, with and without separators, and percent for every byte."""
    assert left_over(VALUES[name], b"<[" + BYTE_FORMS[form](VALUES[name]) + b"]>") == b"<[]>"
    assert left_over(b"\xff\xfe" + VALUES[name], BYTE_FORMS[form](b"\xff\xfe" + VALUES[name])) == b""


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_covered_wherever_the_value_begins(
    name: str, before: int, after: int, encode: Callable[[bytes], bytes]
) -> None:
    """Of base64 with something before and behind, at all three alignments, nothing that the value alone decides."""
    value = VALUES[name]
    encoded = encode(b"\x55" * before + value + b"\xaa" * after)
    first, last = -(-before * 8 // 6), (before + len(value)) * 8 // 6
    assert left_over(value, encoded) == encoded[:first] + encoded[last:]


@pytest.mark.parametrize(("fold", "length"), [(76, 57 * 2), (64, 48 * 3), (76, 201)])
def test_base64_in_folded_lines_is_covered(fold: int, length: int) -> None:
    """Each whole line of folded base64 that begins with the value is masked."""
    value = bytes(33 + at * 7 % 90 for at in range(length))
    encoded = base64.b64encode(value)
    lines = b"\n".join(encoded[at : at + fold] for at in range(0, len(encoded), fold))
    assert left_over(value, lines).strip(b"\n") == b""


def test_each_line_of_a_secret_is_covered_by_itself() -> None:
    """A file of several lines is often shown line by line; frames and rulers are not secret."""
    begin, end = b"-----BEGIN RSA " + b"PRIVATE KEY-----", b"-----END RSA " + b"PRIVATE KEY-----"
    value = b"\n".join([begin, b"MIIEowIBAAKCAQEA7", b"  q8Wz2Tt9kLm4Pp7x  ", b"==========", b"", b"short", end])
    assert left_over(value, b"1: MIIEowIBAAKCAQEA7 2: q8Wz2Tt9kLm4Pp7x 3:") == b"1:  2:  3:"
    assert left_over(value, value) == b""
    assert left_over(value, begin + b" x") == begin + b" x"
    assert left_over(value, b"==========") == b"=========="
    assert left_over(value, base64.b64encode(b"q8Wz2Tt9kLm4Pp7x").rstrip(b"=")[:-1]) == b""


def test_each_long_string_of_a_secret_in_json_is_covered_by_itself() -> None:
    """Of a service account the key and its id are masked, its addresses and prose are not."""
    account = {
        "private_key": "-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END X-----\n",
        "id": ["a1b2c3d4e5f6a7b8c9d0"],
        "uri": "https://accounts.example.org/o/oauth2/auth",
        "note": "this is a sentence of prose",
        "short": "abcdefg",
    }
    value = json.dumps(account, indent=2).encode()
    for secret in (b"MIIEvQIBADANBgkqhkiG9w0", b"a1b2c3d4e5f6a7b8c9d0", value):
        assert left_over(value, secret) == b""
    for other in (account["uri"], account["note"], account["short"]):
        assert left_over(value, str(other).encode()) == str(other).encode()


@pytest.mark.parametrize(
    "value", [b"", b"a", b"1234567", b"  1234567  ", b"password", b"PassWord", b"123456789", b"application/json"]
)
def test_short_and_common_values_are_exact_only(value: bytes) -> None:
    """Masked anywhere, they would tear words apart; blanks around a value do not make it long."""
    assert is_exact_only(value.strip())
    assert spellings(value) == frozenset()


@pytest.mark.parametrize("value", [b"12345679", b"password2", b"\xff" * 8])
def test_eight_bytes_that_are_no_word_are_masked_anywhere(value: bytes) -> None:
    """From eight bytes on a value is searched for."""
    assert not is_exact_only(value)
    assert value in spellings(value)


def test_blanks_around_a_stored_value_do_not_hide_it() -> None:
    """A secret stored with a line end is found without it, and its spellings too."""
    assert left_over(b"q8Wz2Tt9kLm4\n", b"<q8Wz2Tt9kLm4>") == b"<>"
    assert left_over(b" q8Wz2Tt9kLm4\r\n", b"q8Wz2Tt9kLm4".hex().encode()) == b""


@pytest.mark.parametrize(
    "value", [*VALUES.values(), b"\xff\x00\x80binary\xfe", b"{broken json", b"[" * 5000, b'{"a": 1}']
)
def test_no_spelling_is_so_short_that_it_hits_by_chance(value: bytes) -> None:
    """Every literal has a least length, whatever the value; odd values are no error."""
    assert min(map(len, spellings(value))) >= MIN_LITERAL
    assert spellings(value) == spellings(value)


def test_a_wide_character_told_in_halves_is_no_way_round() -> None:
    """Streams cut texts between the two halves of a character beyond U+FFFF, each of which is then an escape."""
    low, high = "\ud83d", "\udd11"
    for text in ("key-🔑-of-four-bytes", "🔑key-of-bytes", "two-🔑-keys-🔑"):
        halves = text.replace("🔑", low + high, 1).encode("utf-8", "surrogatepass")
        assert halves in spellings(text.encode())


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("fold", [64, 76])
@pytest.mark.parametrize("length", [8, 12, 47, 64, 128])
def test_base64_that_is_folded_anywhere_in_the_value_is_covered(length: int, fold: int, newline: bytes) -> None:
    """In a longer text that MIME or PEM folds, the end of a line may fall on any place of it."""
    value = bytes(33 + at * 7 % 90 for at in range(length))
    literals = spellings(value)
    for before in range(fold):
        encoded = base64.b64encode(b"x" * before + value + b"and more")
        text = newline.join(encoded[at : at + fold] for at in range(0, len(encoded), fold))
        assert any(literal in text and len(literal) >= length * 4 // 3 - 4 for literal in literals), before


def test_a_value_that_was_read_as_latin_1_is_covered() -> None:
    """A server that reads headers so and answers in UTF-8 writes each byte beyond ASCII as two."""
    value = "schlüßel-größe".encode()
    assert left_over(value, value.decode("latin-1").encode()) == b""
    assert left_over(b"\xffsecret\x80value", b"\xc3\xbfsecret\xc2\x80value") == b""

"""Tests of redaction: stored secrets and detected keys are replaced; what cannot be looked into is not shown."""

import gzip
import json

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock_server.operations.redaction import SHOWN_BODY_BYTES, UNREADABLE, Redactor

KEY = bytes(32)
VALUE = "pass" + "word-0123"
REDACTOR = Redactor((("my-key", VALUE.encode()),))


def test_a_stored_secret_becomes_its_token() -> None:
    """The same one each time, under one key; other text stays as it is."""
    text = REDACTOR.text(f"a {VALUE} b {VALUE} é", KEY)
    assert VALUE not in text and text.startswith("a «my-key:") and text.endswith("» é")
    tokens = [word for word in text.split() if word.startswith("«")]
    assert len(tokens) == 2 and tokens[0] == tokens[1]
    assert REDACTOR.text(f"a {VALUE}", bytes([1]) * 32) != REDACTOR.text(f"a {VALUE}", KEY)
    assert REDACTOR.text("nothing here, é", KEY) == "nothing here, é"
    assert REDACTOR.text("", KEY) == ""


def test_a_key_that_nobody_stored_is_found_by_its_form() -> None:
    """Detectors of credentials run; those of personal data do not, since reviewers must see what they decide."""
    leaked = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    assert leaked not in REDACTOR.text(f"token {leaked} end", KEY)
    assert REDACTOR.text("ann@example.com", KEY) == "ann@example.com"


def test_header_values_are_masked_and_names_kept() -> None:
    """In their order, repeated ones too."""
    headers = (("x-a", VALUE.encode()), ("x-b", b"plain"), ("x-a", b"\xff"))
    shown = REDACTOR.headers(headers, KEY)
    assert [name for name, _ in shown] == ["x-a", "x-b", "x-a"]
    assert VALUE.encode() not in shown[0][1] and shown[1:] == headers[1:]


def test_a_json_body_is_masked_within_its_strings() -> None:
    """Also where the value is written with escapes."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in VALUE)
    body = f'{{"a": "{VALUE}", "b": "{escaped}", "c": 1}}'.encode()
    shown = json.loads(REDACTOR.body(body, "application/json", "", KEY))
    assert shown["a"].startswith("«my-key:") and shown["a"] == shown["b"]
    assert shown["c"] == 1


def test_what_no_masker_reads_is_not_shown() -> None:
    """A compressed body, an unknown type, headers that contradict each other: each might hold anything."""
    packed = gzip.compress(VALUE.encode())
    for body, kind, coding in (
        (packed, "text/plain", "gzip"),
        (packed, "application/json", "br"),
        (b"\x00" + VALUE.encode(), "application/octet-stream", ""),
        (VALUE.encode(), "several", ""),
        (VALUE.encode(), "text/plain", "several"),
    ):
        assert REDACTOR.body(body, kind, coding, KEY) == UNREADABLE.encode(), (kind, coding)


def test_broken_json_is_searched_as_text() -> None:
    """What is not JSON from some byte on still hides the secret."""
    shown = REDACTOR.body(b'{"a": "x"} ]' + VALUE.encode(), "application/json", "", KEY)
    assert shown.startswith(b'{"a": "x"} ]\xc2\xabmy-key:')


def test_a_long_body_is_cut_and_says_so() -> None:
    """A reviewer never takes a part for the whole; nothing is said of one that just fits."""
    fits = b"a" * SHOWN_BODY_BYTES
    assert REDACTOR.body(fits, "text/plain", "", KEY) == fits
    shown = REDACTOR.body(fits + b"bcd", "text/plain", "", KEY)
    assert shown == fits + b"\n[3 more bytes are not shown]"


def test_a_secret_across_the_cut_is_masked_before_it_is_cut() -> None:
    """No part of it stays at the end."""
    body = b"a" * (SHOWN_BODY_BYTES - 4) + VALUE.encode()
    assert VALUE[:4].encode() not in REDACTOR.body(body, "text/plain", "", KEY)


def test_bytes_of_unknown_type_are_searched_as_they_are() -> None:
    """Frames of recordings: what holds no secret is kept byte for byte."""
    binary = bytes(range(256))
    assert REDACTOR.plain(binary, KEY) == binary
    assert VALUE.encode() not in REDACTOR.plain(b"\xff\x00" + VALUE.encode() + b"\xff", KEY)


def test_without_stored_secrets_the_detectors_still_run() -> None:
    """From the first start."""
    leaked = "AKIA" + "ABCDEFGHIJKLMNOP"
    assert leaked not in Redactor(()).text(leaked, KEY)


def posted(body: bytes, content_type: str = "application/json", path: str = "/v1/pay") -> Action:
    """Returns an action with that body."""
    headers = (("content-type", content_type.encode()),)
    http = HttpRequest("POST", "h", path, headers=headers, body_state=BodyState.WHOLE, body=body)
    return Action("billing", http)


PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (posted(f"pay bob 1 EUR\n{PEM}\npay eve 99999 EUR".encode(), "text/plain"), "whose end could hide"),
        (posted(b"{}", path=f"/v1/{PEM}x"), "whose end could hide"),
        (posted(b'"' + b"x" * SHOWN_BODY_BYTES + b'"'), "bytes"),
        (posted(gzip.compress(b"{}"), "application/octet-stream"), "cannot be shown"),
        (posted(b"{}", "application/json; charset=utf-16"), "cannot be shown"),
    ],
)
def test_what_a_reviewer_could_not_see_is_named(action: Action, why: str) -> None:
    """Nobody approves what hides behind a mask, a cut or a form that is not text."""
    assert why in REDACTOR.hides(action)


def test_a_secret_of_bounded_form_hides_nothing_else() -> None:
    """Its token stands in its place, and the rest can be read."""
    leaked = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    assert REDACTOR.hides(posted(f'{{"amount": 5, "note": "{leaked} {VALUE}"}}'.encode())) == ""
    assert REDACTOR.hides(posted(b"", "text/plain")) == ""

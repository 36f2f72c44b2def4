"""Strict JSON: one reading or none."""

import pytest

from penstock_server.domain.strict_json import MAX_DEPTH, UnreadableJsonError, parse_json, require_plain_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b" 0 ", 0),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"' + b"[" * 200 + b'"', "[" * 200),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"[" + b"[]," * 100 + b"[]]", [[]] * 101),
    ],
)
def test_plain_json_is_read(body: bytes, value: object) -> None:
    """What every parser reads alike has a value; brackets in strings and beside each other are not depth."""
    assert parse_json(body) == value or value is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b'{"a":1}x',
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"amount":1,"Amount":2}',
        '{"stra\u00dfe":1,"STRASSE":2}'.encode(),
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"9223372036854775808",
        b"1" * 5000,
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'["\\uDC00\\uD800"]',
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"{'a': 1}",
        b'{"a":1,}',
        b'"\n"',
        b"01",
        b"\xc2\xa01",
    ],
)
def test_what_parsers_read_differently_is_unreadable(body: bytes) -> None:
    """Nothing ambiguous, oversized or broken has a value, and the complaint quotes nothing of it."""
    with pytest.raises(UnreadableJsonError) as raised:
        parse_json(body)
    assert len(str(raised.value)) < 60


@pytest.mark.parametrize(
    "headers",
    [
        (("content-type", b"application/json"),),
        (("content-type", b"Application/Merge-Patch+JSON ; charset=utf-8"),),
        (("content-type", b'application/json; charset="UTF-8"'), ("content-encoding", b"identity")),
    ],
)
def test_plain_headers_pass(headers: tuple[tuple[str, bytes], ...]) -> None:
    """UTF-8 without an encoding is what the bytes say."""
    require_plain_json(headers)


@pytest.mark.parametrize(
    "headers",
    [
        (("content-type", b"application/json; charset=utf-7"),),
        (("content-type", b"application/json; x=y;CHARSET = utf-16"),),
        (("content-type", b"application/json"), ("content-type", b"text/plain")),
        (("content-type", b"application/json"), ("content-encoding", b"gzip")),
        (),
        (("content-type", b"text/plain"),),
        (("content-type", b"application/x-www-form-urlencoded"),),
        (("content-type", b"application/jsonx"),),
        (("content-type", b"application/json; charset*=utf-7''x"),),
    ],
)
def test_headers_that_change_the_text_make_it_unreadable(headers: tuple[tuple[str, bytes], ...]) -> None:
    """A charset or encoding under which the upstream may read other text is refused."""
    with pytest.raises(UnreadableJsonError):
        require_plain_json(headers)

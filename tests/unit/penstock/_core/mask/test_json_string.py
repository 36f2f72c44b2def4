"""The insides of JSON strings."""

import json

import pytest

from penstock._core.mask.json_string import decoded, encoded, raw_spans


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", b"plain"),
        (rb"\u0041\u004a\u004A", b"AJJ"),
        (rb"a\/b", b"a/b"),
        (rb"\\u0041", rb"\u0041"),
        (rb"\\\u0041", rb"\A"),
        (rb"\"\\\b\f\n\r\t", b'"\\\b\f\n\r\t'),
        (rb"\u00e9", "é".encode()),
        (rb"\ud83d\ude00", "😀".encode()),
        (rb"\uD83D\uDE00!", "😀!".encode()),
        (rb"\ud83d", b"\xed\xa0\xbd"),
        (rb"\ude00\ud83d", b"\xed\xb8\x80\xed\xa0\xbd"),
        (rb"\ud83dA\ude00", b"\xed\xa0\xbdA\xed\xb8\x80"),
        (rb"\u0000", b"\0"),
        (rb"\q", b"q"),
        (rb"\u12", b"u12"),
        (b"\xff\\n", b"\xff\n"),
    ],
)
def test_escapes_are_undone(raw: bytes, text: bytes) -> None:
    """Unknown and cut escapes and lone surrogates are read as lenient readers read them."""
    assert decoded(raw) == text


@pytest.mark.parametrize("text", ["plain", 'a"b\\c', "line\nline", "«db:ABCDEFGHIJ»", "😀\x00\x1f\u2028"])
def test_what_is_encoded_is_read_back(text: str) -> None:
    """Any reader of JSON gets the text again."""
    raw = encoded(text.encode())
    assert json.loads(b'"%s"' % raw) == text
    assert decoded(raw) == text.encode()


@pytest.mark.parametrize("raw", [rb"ab\u0041cd\/ef\n\ud83d\ude00gh", rb"\u00e9\u00e9", rb"\\\\\\", b"none", rb"x\\"])
def test_raw_spans_hold_the_text(raw: bytes) -> None:
    """Whatever part of the text is asked for, its raw bytes decode to at least that part, and no escape is cut."""
    text = decoded(raw)
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            ((low, high),) = raw_spans(raw, [(start, end)])
            before, inside, after = decoded(raw[:low]), decoded(raw[low:high]), decoded(raw[high:])
            assert before + inside + after == text
            assert len(before) <= start
            assert len(after) <= len(text) - end
            assert text[start:end] in inside


def test_raw_spans_are_as_narrow_as_can_be() -> None:
    """Bytes beside an escape stay."""
    assert raw_spans(rb"ab\u0041cd", [(2, 3), (4, 5)]) == [(2, 8), (9, 10)]

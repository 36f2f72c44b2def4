"""Bodies that are not what their type says: clients read events, lines or JSON, whatever they are called."""

import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.mask.sniffed_stream import is_plain
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import (
    JSON,
    KEY,
    NDJSON,
    PLAIN,
    SECRET,
    SSE,
    TEXT,
    a_masker,
    events,
    fed,
    pieces,
    same_however_cut,
    token,
    whole,
)

TOKEN = token("db", SECRET).encode()
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in TEXT).encode()
FIRST, SECOND = TEXT[:8], TEXT[8:]
BINARY = "application/octet-stream"
CALLED = [JSON, NDJSON, SSE, PLAIN, "text/html", "", "application/problem+json"]


@pytest.mark.parametrize("content_type", CALLED)
@pytest.mark.parametrize(
    "begin", [b"", b": hello\n\n", b"retry: 5\n", b"event: x\ndata: hi\n\n", b"id: 1\r\n", b"data:\n\n"]
)
def test_events_are_known_by_their_first_lines(content_type: str, begin: bytes) -> None:
    """A comment, a retry, an id, or an event that is text comes first; deltas are JSON or text."""
    for deltas in (({"text": FIRST}, {"text": SECOND}), (FIRST.encode(), SECOND.encode())):
        masked = same_however_cut(a_masker(), content_type, begin + events(*deltas))
        assert masked.count(TOKEN) == 1
        assert SECOND.encode() not in masked


@pytest.mark.parametrize("content_type", CALLED)
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b'{"model":"m"}\n', b"\n\n", b" "])
def test_lines_of_json_are_known_by_the_first(content_type: str, begin: bytes) -> None:
    """A text told over the lines is one."""
    lines = "".join(json.dumps({"response": part}) + "\n" for part in (FIRST, SECOND)).encode()
    masked = same_however_cut(a_masker(), content_type, begin + lines)
    assert masked == begin + lines.replace(FIRST.encode(), TOKEN).replace(SECOND.encode(), b"")


@pytest.mark.parametrize("content_type", [*CALLED, BINARY, "application/x-amz-json-1.1"])
@pytest.mark.parametrize(
    "document", [b'{"a":"%s"}', b'\n[\n"%s"\n]\n', b'{"a":1}\n{"b":"%s"}', b'\xef\xbb\xbf {"a":\n"%s"}']
)
def test_a_document_is_known_by_its_first_character(content_type: str, document: bytes) -> None:
    """Escapes hide nothing in it."""
    assert same_however_cut(a_masker(), content_type, document % ESCAPED) == document % TOKEN


@pytest.mark.parametrize("content_type", [JSON, PLAIN, "", "application/javascript"])
@pytest.mark.parametrize(
    "shield", [b")]}'\n", b")]}',\n", b"for(;;);", b"for (;;);", b"while(1);", b"\xef\xbb\xbf)]}'\n"]
)
def test_a_shield_before_json_hides_nothing(content_type: str, shield: bytes) -> None:
    """Some put it there so that a document is no script; their clients cut it off."""
    document = shield + b'{"a":"%s"}'
    assert same_however_cut(a_masker(), content_type, document % ESCAPED) == document % TOKEN
    assert b"Ada" not in same_however_cut(a_masker(json=["/a"]), content_type, document % b"Ada")


@pytest.mark.parametrize(
    "text",
    [
        "[42 Wallaby Way]",
        "{}42 Wallaby Way",
        '{"a":42 Wallaby Way',
        "[1] 42 Wallaby Way",
        "for 42 Wallaby Way",
        "data: 42 Wallaby Way",
        "event: 42 Wallaby Way\n",
        ")42 Wallaby Way",
        "while(1);42 Wallaby Way",
        "  42 Wallaby Way",
        "id",
        "dat",
    ],
)
@pytest.mark.parametrize("content_type", [*CALLED, BINARY])
def test_what_only_begins_like_something_is_text(text: str, content_type: str) -> None:
    """A known value that begins like a number of JSON is not read for one."""
    known = KnownValue("home", b"42 Wallaby Way")
    masked = same_however_cut(a_masker(known), content_type, text.encode())
    assert masked.decode() == text.replace("42 Wallaby Way", token("home", known.value))


@pytest.mark.parametrize(
    "value",
    [b"{}xK9#mQ2vL", b"[]xK9#mQ2vL", b'","xK9#mQ2v', b"}xK9#mQ2vL", b'{"user":"bob","pin":123456}', b"[12345678,9]"],
)
@pytest.mark.parametrize("content_type", [*CALLED, BINARY])
@pytest.mark.parametrize(
    "around", [b"%s", b"so %s.", b'["%s"]', b'{"a":1,"b":%s}', b"data: %s\n\n", b'{"x":0}%s', b'data: {"a":%s}\n\n']
)
def test_a_known_value_that_looks_like_json_does_not_pass(value: bytes, content_type: str, around: bytes) -> None:
    """Where it stands across strings and numbers it is masked as text or refused, whatever the cut."""
    masker = a_masker(KnownValue("db", value))
    document = around % value
    results = set()
    for chunks in ([document], pieces(document, 1), pieces(document, 7)):
        try:
            results.add(fed(masker, content_type, chunks))
        except Unmaskable:
            results.add(b"refused")
    assert len(results) == 1
    assert value not in results.pop()
    try:
        assert value not in whole(masker, content_type, document)
    except Unmaskable as error:
        assert "known value" in error.reason


@pytest.mark.parametrize("content_type", [PLAIN, "", "text/html"])
@pytest.mark.parametrize("body", [b'{"name":"Ada', b'{"name":{"a":"Ada"', b'{"x":1,"name":["Ada"', b'{"name":"Ada"} x'])
def test_cut_json_does_not_let_pass_what_a_pointer_names(content_type: str, body: bytes) -> None:
    """Whatever it is called: it is masked or refused."""
    for chunks in ([body], pieces(body, 1)):
        try:
            out = fed(a_masker(json=["/name"]), content_type, chunks)
        except Unmaskable:
            out = b""
        assert b"Ada" not in out


def test_text_that_is_no_json_passes_with_pointers() -> None:
    """They name nothing in it; an error page stays readable."""
    page = b"<html>not found</html>"
    assert same_however_cut(a_masker(json=["/name"]), "text/html", page) == page


def test_plain_text_is_not_held() -> None:
    """As soon as its first characters show what it is, all that can be no secret goes out."""
    for text in (b"Hello", b"datum", b"ids", b"(x)", b"<p>", b"event handlers"):
        body = a_masker().body(PLAIN, "", key=KEY)
        assert body.feed(text + b"! ") == text + b"! "


@pytest.mark.parametrize(
    "data",
    [b"{", b"[1]", b" x", b"\n", b"\xef\xbb\xbfx", b"data: x", b"event: x", b": x", b")]}'", b"while(1);{}", b""],
)
def test_what_may_be_json_or_events_is_not_plain(data: bytes) -> None:
    """The quick look at a whole body is for what cannot be either."""
    assert not is_plain(data) or data == b""


def test_most_text_is_plain() -> None:
    """Told by its first character."""
    assert all(is_plain(data) for data in (b"<html>", b"Hello", b"42", b'"x"', b"-----BEGIN", b"\xff"))


@pytest.mark.parametrize("blanks", [b" ", b"\n\n", b"\r\n  "])
def test_a_shield_may_be_told_before_what_it_shields(blanks: bytes) -> None:
    """Blanks between them decide nothing, and a piece that ends with them neither."""
    document = b")]}'\n" + blanks + b'{"a":"%s"}'
    assert same_however_cut(a_masker(), JSON, document % ESCAPED) == document % TOKEN


@pytest.mark.parametrize("begin", [b": " + b"x" * 700 + b"\n\n", b": a\n: b\n: c\nid: 4\nretry: 5\n: f\n"])
def test_long_comments_and_many_fields_hide_no_events(begin: bytes) -> None:
    """As long as the data begins within the bytes that are looked at."""
    masked = same_however_cut(a_masker(), JSON, begin + events({"text": FIRST}, {"text": SECOND}))
    assert masked.count(TOKEN) == 1


def test_an_address_of_data_is_no_event() -> None:
    """Such as an image in a text: a line of any length goes out."""
    body = a_masker().body(PLAIN, "", key=KEY)
    image = b"data:image/png;base64," + b"iVBORw0KGgo" * 200_000
    assert body.feed(image) + body.finish() == image

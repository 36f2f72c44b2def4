"""The door of the masking room: what is read how, what passes untouched, and what is refused."""

import gzip
import json
from collections.abc import Callable

import pytest

from penstock._core.mask import Masker, Unmaskable
from penstock._core.verdict import KnownValue, MaskSpec
from unit.penstock._core.mask.mask_samples import (
    CARD,
    EMAIL,
    FORM,
    JSON,
    KEY,
    KNOWN,
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
    split,
    text_delta,
    token,
    told,
    whole,
)

TOKEN = token("db", SECRET).encode()
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in TEXT).encode()
TYPES = [JSON, NDJSON, SSE, PLAIN, FORM, "text/html", "", "application/xml", "multipart/mixed; boundary=x"]


def _refused(masker: Masker, content_type: str, data: bytes, coding: str = "") -> str:
    """Returns the reason for which a body is refused, after checking that both ways refuse it."""
    with pytest.raises(Unmaskable) as at_once:
        masker.whole(content_type, coding, data, key=KEY)
    with pytest.raises(Unmaskable):
        body = masker.body(content_type, coding, key=KEY)
        body.feed(data)
        body.finish()
    assert "\n" not in at_once.value.reason
    return at_once.value.reason


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("data", [b"", b"x", b" ", b"{}", b"[", b"data: x\n\n", b"a=b&c=%41", b"\xff\xfe\r", b"<p>\n"])
def test_what_holds_nothing_is_the_same_object(content_type: str, data: bytes) -> None:
    """Byte by byte it comes out as it was, too."""
    masker = a_masker(KNOWN, KnownValue("pin", b"4711"), detectors=["all"])
    result = masker.whole(content_type, "", data, key=KEY)
    assert result.data is data
    assert result.counts == {}
    assert fed(masker, content_type, pieces(data, 1)) == data


@pytest.mark.parametrize("content_type", [*TYPES, "application/octet-stream", "image/png"])
def test_a_known_value_is_masked_in_any_content(content_type: str) -> None:
    """In plain text under any type; counts tell how often."""
    data = b"so " + SECRET + b", " + SECRET
    masker = a_masker()
    assert same_however_cut(masker, content_type, data) == data.replace(SECRET, TOKEN)
    assert masker.whole(content_type, "", data, key=KEY).counts == {"db": 2}
    body = masker.body(content_type, "", key=KEY)
    assert body.feed(data) + body.finish() == data.replace(SECRET, TOKEN)
    assert body.counts == {"db": 2}


@pytest.mark.parametrize("content_type", [PLAIN, "text/html; charset=utf-8", "", "application/javascript"])
def test_json_is_read_whatever_it_is_called(content_type: str) -> None:
    """Escapes hide nothing; pointers name places; numbers become strings; after blanks, and after a BOM."""
    for begin in (b"", b"\xef\xbb\xbf", b" \r\n\t", b"\n" * 100):
        document = begin + b'{"a":"%s","b":["\\u0041"]}'
        assert same_however_cut(a_masker(), content_type, document % ESCAPED) == document % TOKEN
        masked = same_however_cut(a_masker(json=["/a"]), content_type, document % b"Ada")
        assert json.loads(masked.decode("utf-8-sig").strip())["a"].startswith("«json:")
        number = begin + b'{"n":%s}' % CARD.encode()
        masked = same_however_cut(a_masker(detectors=["card"]), content_type, number)
        assert json.loads(masked.decode("utf-8-sig").strip())["n"].startswith("«card:")


@pytest.mark.parametrize("content_type", [PLAIN, "text/html", "", JSON])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\n\n", b"event: x\n", b"id: 1\r\nevent: message\r\n"])
def test_events_are_read_whatever_they_are_called(content_type: str, begin: bytes) -> None:
    """Many clients read them so; a secret split over deltas is seen."""
    stream = begin + events(*[text_delta(part) for part in split(f"a {TEXT} b", 3)])
    masked = same_however_cut(a_masker(), content_type, stream)
    assert told(masked.removeprefix(b"\xef\xbb\xbf"), "delta", "text") == f"a {TOKEN.decode()} b"


@pytest.mark.parametrize("text", [b"<html>S</html>", b"plain S", b"S", b'"S"', b"-S", b"x{S", b"data S", b"event\nS"])
def test_text_called_json_is_masked_as_text(text: bytes) -> None:
    """An error page from a proxy, under the type of the answer that was asked for."""
    for content_type in (JSON, NDJSON, SSE, PLAIN):
        data = text.replace(b"S", SECRET)
        assert same_however_cut(a_masker(), content_type, data) == data.replace(SECRET, TOKEN)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda value: b"a=%s&b=2&c=x%s" % (value, value), 2),
        (lambda value: b"%s=1&=%s&&" % (value, value), 2),
        (lambda value: b"%s" % value, 1),
    ],
)
def test_forms_are_read_as_they_are_and_decoded(make: Callable[[bytes], bytes], count: int) -> None:
    """A known value in any usual spelling, and a mail address with a percent-encoded sign; whatever the cut."""
    spelled = [SECRET, b"zQ8%2FvT2%2BkW5nR7xY", b"zQ8%2fvT2%2bkW5nR7xY", b"zQ8/vT2%2BkW5nR7xY"]
    for value in [*spelled, b"".join(b"%%%02x" % byte for byte in SECRET)]:
        masked = same_however_cut(a_masker(), FORM, make(value))
        assert masked == make(TOKEN)
    for value in (b"ada@example.com", b"ada%40example.com", b"%61da%40example%2Ecom"):
        masked = same_however_cut(a_masker(detectors=["email"]), FORM, make(value))
        assert masked.count("«email:".encode()) == count
        assert b"example" not in masked


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "identity, gzip"])
@pytest.mark.parametrize("content_type", [*TYPES, "application/octet-stream"])
def test_compressed_content_is_refused(coding: str, content_type: str) -> None:
    """Whatever its type: it cannot be looked into."""
    for masker in (a_masker(), a_masker(json=["/a"]), a_masker(detectors=["email"])):
        assert "content-encoding" in _refused(masker, content_type, gzip.compress(SECRET), coding)


def test_identity_is_no_coding() -> None:
    """It may be said."""
    assert a_masker().whole(PLAIN, "Identity", SECRET, key=KEY).data == TOKEN


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "UTF-32", "utf-7", "cp037"])
@pytest.mark.parametrize("kind", [JSON, NDJSON, SSE, PLAIN, FORM, "text/html", ""])
def test_text_in_other_charsets_is_refused(kind: str, charset: str) -> None:
    """Even if nothing in it looks like a secret."""
    for masker in (a_masker(), a_masker(detectors=["email"]), a_masker(json=["/a"])):
        assert "charset" in _refused(masker, f"{kind}; charset={charset}", b"{}")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("kind", [JSON, NDJSON, SSE, PLAIN, FORM, "text/html", "", "text/plain; charset=utf-8"])
def test_utf_16_that_is_not_declared_is_no_way_round(kind: str, codec: str) -> None:
    """With detectors or pointers it is refused; a known value in it is masked or refused."""
    data = json.dumps({"a": f"to {EMAIL} {TEXT}"}).encode(codec)
    for masker in (a_masker(detectors=["email"]), a_masker(json=["/a"])):
        assert "NUL" in _refused(masker, kind, data)
        for size in (1, 3):
            with pytest.raises(Unmaskable):
                fed(masker, kind, pieces(data, size))
    if not codec.startswith("utf-32"):
        try:
            masked = whole(a_masker(), kind, data)
        except Unmaskable:
            return
        assert TEXT.encode("utf-16-le") not in masked
        assert TEXT.encode("utf-16-be") not in masked


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "image/png", "application/pdf", "audio/mpeg", "x/y"]
)
def test_binary_content_is_refused_if_it_must_be_read(content_type: str) -> None:
    """Detectors and pointers need text; known values are looked for as bytes, between NULs, too."""
    for masker in (a_masker(KNOWN, detectors=["email"]), a_masker(KNOWN, json=["/a"])):
        assert "cannot be masked" in _refused(masker, content_type, b"x")
    data = b"\x89PNG\0\0" + SECRET + b"\0\xff"
    assert same_however_cut(a_masker(), content_type, data) == data.replace(SECRET, TOKEN)
    clear = bytes(range(256))
    assert a_masker().whole(content_type, "", clear, key=KEY).data is clear


@pytest.mark.parametrize("spec", [MaskSpec(), MaskSpec(headers=frozenset({"x-debug"}))])
def test_a_masker_with_nothing_to_find_passes_everything(spec: MaskSpec) -> None:
    """Compressed, in any charset, of any type; headers alone make it active."""
    masker = Masker([], spec)
    data = b"\0" + SECRET
    for content_type in ("text/plain; charset=utf-16", "image/png", JSON):
        assert masker.whole(content_type, "gzip", data, key=KEY).data is data
        body = masker.body(content_type, "gzip", key=KEY)
        assert body.feed(data) is data
        assert body.finish() == b""
        assert body.counts == {}
    assert masker.active == bool(spec.headers)


def test_it_is_active_if_anything_is_to_be_masked() -> None:
    """Also with a short value alone."""
    assert a_masker().active
    assert a_masker(KnownValue("pin", b"4711")).active
    assert a_masker(detectors=["email"]).active
    assert a_masker(json=["/a"]).active
    assert not Masker([KnownValue("empty", b"")], MaskSpec()).active


def test_what_cannot_be_followed_is_refused_at_once() -> None:
    """An unknown detector, and what is no pointer."""
    with pytest.raises(ValueError, match="no-such"):
        a_masker(detectors=["no-such"])
    with pytest.raises(ValueError, match="pointer"):
        a_masker(json=["a"])


@pytest.mark.parametrize(
    ("place", "value", "masked"),
    [
        ("header:x-note", b"for S, now", b"for T, now"),
        ("header:location", b"https://h/?k=zQ8%2FvT2%2BkW5nR7xY&x=1", b"https://h/?k=T&x=1"),
        ("header:x-note", b"plain 100%", b"plain 100%"),
        ("query", b"a=S&b=zQ8%2FvT2%2BkW5nR7xY", b"a=T&b=T"),
        ("trailer:grpc-message", b"S", b"T"),
        ("query", b"", b""),
    ],
)
def test_one_text_is_masked(place: str, value: bytes, masked: bytes) -> None:
    """Percent-encoding is seen through; the rest stays."""
    value = value.replace(b"S", SECRET)
    result = a_masker().text(value, key=KEY, place=place)
    assert result.data == masked.replace(b"T", TOKEN)
    assert result.counts == ({"db": masked.count(b"T")} if b"T" in masked else {})
    assert (result.data is value) == (b"T" not in masked)


def test_detectors_see_percent_encoded_text() -> None:
    """In a query "+" is a blank."""
    masker = a_masker(detectors=["secrets"])
    value = b"Abcdefgh" + b"12345678" + b"xyz"
    assert value not in masker.text(b"h=Bearer+" + value, key=KEY, place="query").data
    assert value not in masker.text(b"/x?h=Bearer%20" + value, key=KEY, place="header:location").data
    assert b"ada" not in a_masker(detectors=["email"]).text(b"/u/ada%40example.com", key=KEY, place="path").data


def test_named_headers_go_whole() -> None:
    """By the name that the place has; deterministically, and others stay."""
    masker = a_masker(headers=["x-debug"])
    first, second, other = [masker.text(v, key=KEY, place="header:x-debug") for v in (b"v1", b"v1", b"v2")]
    assert first.data == second.data != other.data
    assert first.data.startswith("«header:".encode())
    assert first.counts == {"header": 1}
    assert masker.text(b"v1", key=KEY, place="header:x-other").data == b"v1"
    assert masker.text(b"v1", key=KEY, place="query").data == b"v1"


def test_tokens_depend_on_key_and_value_alone() -> None:
    """The same in every kind of content and spelling; another under another key; never a plain hash of the value."""
    documents = [
        (PLAIN, SECRET),
        (JSON, b'{"a":"' + ESCAPED + b'"}'),
        (FORM, b"a=zQ8%2FvT2%2BkW5nR7xY"),
        (SSE, events(TEXT[:3], TEXT[3:])),
        (NDJSON, b'{"response":"zQ8/vT2+"}\n{"response":"kW5nR7xY"}\n'),
        (PLAIN, SECRET.hex().encode()),
    ]
    for content_type, data in documents:
        assert whole(a_masker(), content_type, data).count(TOKEN) == 1
    other = a_masker().whole(PLAIN, "", SECRET, key=b"other").data
    assert other != TOKEN
    assert len(other) == len(TOKEN)


def test_errors_and_results_do_not_show_content() -> None:
    """Neither reasons nor reprs may carry what is masked."""
    document = json.dumps({"type": "thinking", "thinking": TEXT}).encode()
    with pytest.raises(Unmaskable) as raised:
        whole(a_masker(), JSON, document)
    assert TEXT not in f"{raised.value!r} {raised.value.reason}"
    assert TEXT not in repr(a_masker().whole(PLAIN, "", b"x", key=KEY))
    assert TEXT not in repr(KNOWN)


@pytest.mark.parametrize(
    ("content_type", "before"),
    [
        (PLAIN, b"text: "),
        ("", b""),
        ("text/html", b"<p>"),
        (JSON, b'{"a":"b","c":"'),
        (NDJSON, b'{"a":1}\n{"c":"'),
        (SSE, b"data: hello\n\ndata: "),
        (FORM, b"a=1&b="),
    ],
)
def test_a_body_that_ends_early_gives_no_known_value_away(content_type: str, before: bytes) -> None:
    """What has come of it is masked under its name, if it is 8 bytes or more."""
    masker = a_masker()
    for length in (8, len(SECRET) - 1):
        result = masker.whole(content_type, "", before + SECRET[:length], key=KEY)
        assert result.counts == {"db": 1}
        assert result.data == before + TOKEN
        assert fed(masker, content_type, pieces(before + SECRET[:length], 1)) == before + TOKEN


@pytest.mark.parametrize("detectors", [(), ("all",)])
def test_a_text_told_in_pieces_that_ends_early_gives_no_known_value_away(detectors: tuple[str, ...]) -> None:
    """The pieces are masked as one text."""
    stream = events(text_delta("so: " + TEXT[:5]), text_delta(TEXT[5:-1]))
    masked = whole(a_masker(KNOWN, detectors=detectors), SSE, stream)
    assert told(masked, "delta", "text") == "so: " + TOKEN.decode()


SIGNED = [
    b'{"thinking":"S","type":"thinking"}',
    b'{"signature":"S","thinking":"x","type":"thinking"}',
    b'{"type":"think\\u0069ng","thinking":"S"}',
    b'{"th\\u0069nking":"S","ty\\u0070e":"thinking"}',
    b'{"a":[{"signature":"S","b":{"type":"text"},"type":"signature_delta"}]}',
    b'{"type":"text","data":"S","type":"redacted_thinking"}',
]


@pytest.mark.parametrize("document", SIGNED)
@pytest.mark.parametrize("content_type", [JSON, PLAIN, NDJSON])
def test_signed_text_is_known_whatever_the_order_and_the_escapes(document: bytes, content_type: str) -> None:
    """A known value in it is refused, however the document is cut; what a detector finds in it stays as it is."""
    masker = a_masker(KNOWN, detectors=["email"])
    assert "signed" in _refused(masker, content_type, document.replace(b"S", SECRET))
    for size in (1, 7):
        with pytest.raises(Unmaskable):
            fed(masker, content_type, pieces(document.replace(b"S", SECRET), size))
    mail = document.replace(b"S", EMAIL.encode())
    assert whole(masker, content_type, mail) == mail


def test_what_only_looks_signed_is_masked() -> None:
    """The same names in objects of other types."""
    document = b'{"thinking":"%s","type":"text","signature":"%s","data":{"type":"thinking"}}'
    assert same_however_cut(a_masker(), JSON, document % (SECRET, SECRET)) == document % (TOKEN, TOKEN)


@pytest.mark.parametrize("count", [65, 600])
@pytest.mark.parametrize("other", [{"type": "ping"}, text_delta("abc ", 1)])
def test_events_between_the_halves_of_a_secret_release_no_half(count: int, other: object) -> None:
    """When nothing waits any longer, what has come of a known value is masked."""
    stream = events(text_delta(TEXT[:8]), *[other] * count, text_delta(TEXT[8:]))
    masked = whole(a_masker(), SSE, stream)
    assert SECRET[:8] not in masked
    assert TOKEN in masked


@pytest.mark.parametrize("content_type", [*TYPES, "application/octet-stream"])
@pytest.mark.parametrize("begin", [b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06", b"\x28\xb5\x2f\xfd"])
def test_what_begins_like_an_archive_is_refused_whatever_its_type(content_type: str, begin: bytes) -> None:
    """A client that unpacks it would see what no scan did; nothing passes by being cut."""
    data = begin + b"any more"
    assert "compressed" in _refused(a_masker(), content_type, data)
    with pytest.raises(Unmaskable):
        fed(a_masker(), content_type, pieces(data, 1))
    assert whole(a_masker(), PLAIN, begin[:1] + b" and text") == begin[:1] + b" and text"


@pytest.mark.parametrize("content_type", ["application/gzip", "application/zip", "application/x-tar"])
def test_archives_are_refused_by_their_type_where_there_is_anything_to_mask(content_type: str) -> None:
    """With nothing to mask they pass."""
    assert "compressed" in _refused(a_masker(), content_type, b"x")
    assert Masker([], MaskSpec()).whole(content_type, "", b"\x1f\x8b", key=KEY).data == b"\x1f\x8b"

"""JSON bodies as they arrive."""

import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import (
    CARD,
    EMAIL,
    JSON,
    KEY,
    KNOWN,
    SECRET,
    TEXT,
    a_masker,
    fed,
    pieces,
    same_however_cut,
    token,
    whole,
)

TOKEN = token("db", SECRET)
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in TEXT).encode()


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":"%s"}',
        b' [ "%s" , { "%s" : [ "x%sy%s" ] } ] ',
        b'{"a":1,"a":"%s","a":"%s"}',
        b'"%s"',
        b'{"one":"%s"}\n{"two":"%s"}',
        b'\xef\xbb\xbf["%s"]',
        b'{"a":"{\\"b\\":[\\"%s\\",{\\"%s\\":1}]}"}',
        b'["\\u00e9\\ud83d\\ude00%s\\n\\"", "\xff%s"]',
        b'{"a":"%s',
        b'{"a":1} trailing %s',
        b"text %s, %s",
        b'{"k" = "%s"}',
    ],
)
def test_a_known_value_is_masked_wherever_it_stands(document: bytes) -> None:
    """Values, keys, duplicate keys, nested JSON, several values, and what stops being JSON; whatever the cut."""
    count = document.count(b"%s")
    masked = same_however_cut(a_masker(), JSON, document % ((SECRET,) * count))
    assert masked == document % ((TOKEN.encode(),) * count)


@pytest.mark.parametrize(
    "raw",
    [
        ESCAPED,
        SECRET.replace(b"/", b"\\/"),
        SECRET[:3] + b"\\u002f" + SECRET[4:],
        SECRET[:-1] + ESCAPED[-6:].upper().replace(b"\\U", b"\\u"),
    ],
)
def test_escapes_hide_nothing(raw: bytes) -> None:
    """Any character may be written as an escape; bytes beside it stay."""
    document = b'{"a":"\\u0041\\/ %s \\u0042","b":"\\/"}'
    assert same_however_cut(a_masker(), JSON, document % raw) == document % TOKEN.encode()


def test_surrogate_pairs_hide_nothing() -> None:
    """A known value outside of the Basic Multilingual Plane."""
    value = "pass😀word😀!".encode()
    document = json.dumps({"a": f"x{value.decode()}y"}).encode()
    masked = same_however_cut(a_masker(KnownValue("db", value)), JSON, document)
    assert json.loads(masked) == {"a": f"x{token('db', value)}y"}


@pytest.mark.parametrize("document", [b'{"n":%s}', b"[1,%s,2]", b"%s", b'{"a":[{"%s":-%s}]}', b"[%s.0,%s ]"])
def test_numbers_hide_nothing(document: bytes) -> None:
    """A card number and a known value as integers become strings, so that the document stays JSON."""
    for masker in (a_masker(detectors=["card"]), a_masker(KnownValue("card", CARD.encode()))):
        masked = same_however_cut(masker, JSON, document.replace(b"%s", CARD.encode()))
        assert CARD.encode() not in masked
        json.loads(masked)


def test_short_values_are_masked_as_whole_leaves_only() -> None:
    """And common words: not as part of a text, and not as a key."""
    masker = a_masker(KnownValue("pin", b"4711"), KnownValue("word", b"changeme"))
    document = {"4711": "4711", "n": 4711, "x": "47110", "y": ["changeme", "please changeme"], "in": '["4711"]'}
    masked = json.loads(same_however_cut(masker, JSON, json.dumps(document).encode()))
    assert masked["n"] == masked["4711"] != "4711"
    assert masked["x"] == "47110"
    assert masked["y"][0].startswith("«word:")
    assert masked["y"][1] == "please changeme"
    assert "4711" not in masked["in"]


@pytest.mark.parametrize("space", ["", " ", "\n\t ", " " * 40, "\n" * 400])
@pytest.mark.parametrize("key", ["api_key", "client_secret", "password", "\\u0061pi_key", "apiKey"])
def test_a_telling_key_is_seen_over_any_blanks(key: str, space: str) -> None:
    """As one line of text the key would be too far away."""
    value = "h7Gd" + "93kLmQx0"
    document = f'{{"z":1,"{key}"{space}:{space}"{value}"{space},"other":"{value}"}}'.encode()
    masked = same_however_cut(a_masker(detectors=["secrets"]), JSON, document).decode()
    assert masked.count(value) == 1
    assert masked.endswith(f'"{space},"other":"{value}"}}')
    json.loads(masked)


def test_what_detectors_find_is_masked_in_any_leaf() -> None:
    """Keys, values, JSON in strings; the rest stays as it is, byte for byte."""
    document = b'{ "%s":"to %s\\n", "n" : [ "{\\"x\\":\\"%s\\"}" ] ,"p":"\\u00e9"}' % ((EMAIL.encode(),) * 3)
    masked = same_however_cut(a_masker(KNOWN, detectors=["email"]), JSON, document)
    mail = token_of(EMAIL)
    assert masked == document.replace(EMAIL.encode(), mail)


def token_of(text: str) -> bytes:
    """Returns the token of a mail address."""
    return whole(a_masker(detectors=["email"]), "text/plain", text.encode())


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_json_in_json_is_masked(depth: int) -> None:
    """Written by the json module into a string, again and again."""
    document: object = {"a": f'quote " {TEXT} \\', "b": [1, TEXT]}
    for _ in range(depth):
        document = {"body": json.dumps(document), "n": 1}
    value = json.loads(same_however_cut(a_masker(), JSON, json.dumps(document).encode()))
    for _ in range(depth):
        assert value["n"] == 1
        value = json.loads(value["body"])
    assert value == {"a": f'quote " {TOKEN} \\', "b": [1, TOKEN]}


def test_pointers_mask_what_they_name() -> None:
    """Strings, numbers, words, objects and arrays become one token; missing places are no error."""
    masker = a_masker(json=["/customers/*/iban", "/a~1b", "/a~0b/0", "/obj", "/missing/x", "/n", "/no"])
    document = {
        "customers": [{"iban": "DE1", "id": 1}, {"id": 2}, {"iban": ["x", {"y": 2}], "id": 3}],
        "a/b": True,
        "a~b": [1, 2],
        "obj": {"k": {"l": []}},
        "n": -1.5,
        "no": None,
    }
    masked = json.loads(same_however_cut(masker, JSON, json.dumps(document, indent=1).encode()))
    names = [masked["customers"][0]["iban"], masked["customers"][2]["iban"], masked["a/b"], masked["a~b"][0]]
    assert all(value.startswith("«json:") for value in [*names, masked["obj"], masked["n"], masked["no"]])
    assert len(set(names)) == 4
    assert masked["customers"][1] == {"id": 2}
    assert masked["customers"][2]["id"] == 3
    assert masked["a~b"][1] == 2


@pytest.mark.parametrize("pointer", ["", "/*", "/a"])
def test_a_pointer_may_name_all(pointer: str) -> None:
    """The document itself is a place, too; duplicate keys are all masked."""
    masked = same_however_cut(a_masker(json=[pointer]), JSON, b' {"a": "Ada", "a": {"b": "Lovelace"}} ')
    assert b"Ada" not in masked
    assert b"Lovelace" not in masked
    json.loads(masked)


@pytest.mark.parametrize(
    "document", [b'{"name":"Ada', b'{"name":"A","x":"Ada', b"Ada", b'{"name":"Ada"}}', b"{'name':'Ada'}"]
)
def test_with_pointers_what_is_not_json_is_refused(document: bytes) -> None:
    """What they name could not be found; nothing of it has gone out."""
    masker = a_masker(json=["/name"])
    for chunks in ([document], pieces(document, 1)):
        with pytest.raises(Unmaskable, match="not JSON"):
            fed(masker, JSON, chunks)
    with pytest.raises(Unmaskable, match="not JSON"):
        whole(masker, JSON, document)


def test_signed_thinking_is_never_edited() -> None:
    """Detectors do not look at it; a known value in it raises, also late in a stream, also in nested JSON."""
    masker = a_masker(KNOWN, detectors=["all"])
    block = {"type": "thinking", "thinking": f"of {EMAIL}", "signature": f"{EMAIL}=="}
    document = json.dumps({"content": [block, {"type": "text", "text": EMAIL}]}).encode()
    masked = same_however_cut(masker, JSON, document)
    assert json.loads(masked)["content"][0] == block
    assert json.loads(masked)["content"][1]["text"] == token_of(EMAIL).decode()
    for name in ("thinking", "signature"):
        text = json.dumps({"content": [{**block, name: f"of {TEXT}"}]})
        for body in (text, json.dumps({"body": text}), " " * 2000 + text):
            with pytest.raises(Unmaskable, match="signed"):
                whole(masker, JSON, body.encode())
            for size in (1, 7, 1024):
                with pytest.raises(Unmaskable, match="signed"):
                    fed(masker, JSON, pieces(body.encode(), size))


def test_values_go_out_as_soon_as_they_are_complete() -> None:
    """A long document streams; a value that is not complete waits with its key, and a begun secret is not told."""
    body = a_masker().body(JSON, "", key=KEY)
    out = body.feed(b'{"pad":"' + b"x" * 8000 + b'","a":"x",')
    assert out.endswith(b'"a":"x",')
    assert body.feed(b'"b":"y') == b""
    assert body.feed(b'","c":[') == b'"b":"y","c":['
    assert body.feed(b"1,2,") == b"1,2,"
    assert body.feed(b'"' + SECRET[:4]) == b""
    assert body.feed(SECRET[4:] + b'"]}') == b'"' + TOKEN.encode() + b'"]}'
    assert body.finish() == b""


def test_long_text_that_begins_like_json_is_text() -> None:
    """Under a type of text it is masked as such; in JSON, or with an escape that hides a character, it is refused."""
    text = b'["' + b"A b " * (1 << 19)
    for size in (65_536, len(text)):
        assert fed(a_masker(), "text/plain", pieces(text + SECRET, size)) == text + TOKEN.encode()
        for content_type, tail in ((JSON, b""), ("text/plain", b"\\u0041"), ("text/plain", b"\ndata: x")):
            with pytest.raises(Unmaskable, match="too long"):
                fed(a_masker(), content_type, pieces(text + tail, size))

"""The quick way through a small document: never another result than reading all of it."""

import json

import pytest

from penstock._core.mask.finder import Finder
from penstock._core.mask.json_quick import SPANS_LIMIT, masked_document
from penstock._core.mask.token import Mint
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
    token,
)

PIN = KnownValue("pin", b"4711")
TOKEN = token("db", SECRET).encode()
HEX = "".join(f"\\u{ord(char):04x}" for char in TEXT).encode()
WORD = ("h7Gd" + "93kLmQx0").encode()

DOCUMENTS = [
    b"{}",
    b'{"a":"S"}',
    b'["S","x","S"]',
    b'"S"',
    b'{"S":"S"}',
    b'{"a":{"b":[{"S":["S"]}]}}',
    b'{"a":"x\\"S\\"","b":"\\\\","c":"S\\\\"}',
    b'{"a\\"":"S","\\\\":"S"}',
    b'{"a":"H","b":"x\\u0041"}',
    b'{"a":"{\\"b\\":\\"S\\",\\"c\\":4711}"}',
    b'{"pin":4711,"pins":["4711",4711,-4711,47110,"47110",4711.0],"4711":"x4711"}',
    b'{"password":"W","a":"W"}',
    b'{"password" : \n "W"}',
    b'{"\\u0070assword":"W"}',
    b'{"password":{"x":"W"},"a":"W"}',
    b'{"password":["W"]}',
    b'{"x":"password","y":"W"}',
    b'{"x":["password","W"]}',
    b'{"n":C,"m":[C,-C],"o":"C"}',
    b"C",
    b"[1.C,C.5]",
    b'{"mail":"E","E":1,"x":"E, E"}',
    b' {\t"a"\r\n:\n"S" , "b" : [ ] } \n',
    b'\xef\xbb\xbf{"a":"S"}',
    b'{"a":1}{"a":"S"}',
    b'{"a":"S"',
    b'{"a":"S"}]',
    b'{"a":"\xff S"}',
    b'{"a":"\xc3\xa9 S"}',
    b'{"a":"line\nS"}',
    b'{"a":NaN,"b":"S"}',
    b'{"a":"\\ud800 S"}',
    b'{"a":"S","a":"\\/S"}',
    b'[["S"],["S"],"",{},[],{"":"S"}]',
    b'{"a":"-----BEGIN PRIVATE KEY-----","b":"S","c":"-----END PRIVATE KEY-----","d":"S"}',
    b'{"a":"' + b"x" * 5000 + b'S"}',
    b"[" + b'"S",' * 200 + b'"S"]',
    b"[" + b'"\\n",' * 200 + b'"S"]',
    b'{"note":"bearer S","n":"basic S"}',
]


def _filled(document: bytes) -> bytes:
    for letter, text in ((b"S", SECRET), (b"H", HEX), (b"W", WORD), (b"C", CARD.encode()), (b"E", EMAIL.encode())):
        parts = document.split(letter)
        document = parts[0]
        for part in parts[1:]:
            is_word = part[:1].isupper() or document[-1:].isupper() or (part[:1] == b"\\" and letter == b"H")
            document += (letter if is_word else text) + part
    return document


@pytest.mark.parametrize("document", [_filled(document) for document in DOCUMENTS])
@pytest.mark.parametrize("detectors", [(), ("all",), ("secrets",)])
def test_it_gives_what_reading_gives(document: bytes, detectors: tuple[str, ...]) -> None:
    """The same bytes and the same counts as from a body that arrives, or no answer at all."""
    masker = a_masker(KNOWN, PIN, detectors=detectors)
    result = masker.whole(JSON, "", document, key=KEY)
    body = masker.body(JSON, "", key=KEY)
    assert body.feed(document) + body.finish() == result.data
    assert dict(body.counts) == dict(result.counts)
    assert SECRET not in result.data
    assert HEX not in result.data
    mint = Mint(KEY)
    quick = masked_document(Finder([KNOWN, PIN], frozenset(detectors)), mint, document)
    if quick is not None:
        assert quick == result.data
        assert mint.counts == dict(result.counts)


def test_it_answers_for_ordinary_documents() -> None:
    """Else it would be no use: with finds, with escapes, and with neither, where the same object comes back."""
    finder = Finder([KNOWN], frozenset({"email"}))
    for text in ("nothing", "line\nline é", f"a {TEXT}", EMAIL):
        document = json.dumps({"items": [{"id": at, "text": text if at == 7 else "x"} for at in range(50)]}).encode()
        quick = masked_document(finder, Mint(KEY), document)
        assert quick is not None
        assert (quick is document) == (TEXT not in text and EMAIL not in text)
        assert TEXT not in quick.decode()
        assert EMAIL not in quick.decode()


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":"S"',
        b"S",
        b'{"a":"S"} x',
        b'{"a":"\xffS"}',
        b'{"type":"thinking","thinking":"x"}',
        b"[" + b'"S",' * (SPANS_LIMIT + 1) + b"0]",
        b'{"a":"-----BEGIN PRIVATE KEY-----"}',
    ],
)
def test_it_does_not_answer_where_it_cannot_tell(document: bytes) -> None:
    """What is not JSON, signed thinking, secrets without a longest length, and very many finds."""
    filled = document if b"KEY" in document else document.replace(b"S", SECRET)
    assert masked_document(Finder([KNOWN], frozenset({"secrets"})), Mint(KEY), filled) is None


def test_a_clear_document_is_the_same_object() -> None:
    """And one that is masked goes the way of a body that arrives."""
    masker = a_masker(KNOWN, detectors=["all"])
    clear = b'{"a":"x","b":[1,2,{"c":null}],"d":"\\u00e9"}'
    assert masker.whole(JSON, "", clear, key=KEY).data is clear
    assert fed(masker, JSON, [clear]) == clear
    assert masker.whole(JSON, "", clear.replace(b"x", SECRET), key=KEY).data == clear.replace(b"x", TOKEN)

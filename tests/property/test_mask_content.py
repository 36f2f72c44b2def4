"""Properties of masked content: no known value is left, nothing else changes, and no cut makes a difference."""

import base64
import json
import random
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.mask import Masker
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import (
    CARD,
    EMAIL,
    FORM,
    JSON,
    KEY,
    NDJSON,
    PLAIN,
    SSE,
    a_masker,
    choice_delta,
    cut,
    datas,
    events,
    fed,
    pieces,
    split,
    stable_base64,
    text_delta,
    token,
    told,
    whole,
)

KNOWN = (
    KnownValue("db", b"zQ8/vT2+kW5nR7xY"),
    KnownValue("quoted", b"p\"a\\s<s>&w=rd'77"),
    KnownValue("wide", "pässwörd😀12".encode()),
    KnownValue("digits", b"8675309867530955"),
    KnownValue("pin", b"4711"),
)
LONG = [value.value.decode() for value in KNOWN[:4]]
PASSWORD = "h7Gd" + "93kLmQx0"
BEARER = "Bearer " + "Abcdefgh" + "12345678xyz"
FOUND = [EMAIL, BEARER, f"password={PASSWORD}", f'{{"api_key": "{PASSWORD}"}}', CARD]
MASKERS = [a_masker(*KNOWN), a_masker(*KNOWN, detectors=["all"]), a_masker(*KNOWN, detectors=["email", "card"])]
SETTINGS = settings(max_examples=120, deadline=None)

maskers = st.sampled_from(MASKERS)
fragments = st.sampled_from(
    [*LONG, *FOUND, "4711", "", " ", "a", "é", "\\", '"', "\n", "😀", "\0", "{", "[1]", "=", ":"]
)
texts = st.lists(fragments | st.text(max_size=6), max_size=5).map("".join)
keys = st.sampled_from(["api_key", "password", "text", "type", "content", "note", "4711", *LONG]) | texts
scalars = st.none() | st.booleans() | st.integers() | st.sampled_from([4711, 8675309867530955, int(CARD), 1.5, -0.0])


class Pairs(list[tuple[str, Any]]):
    """Holds the members of an object, in their order and with duplicates."""


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.lists(st.tuples(keys, inner), max_size=4).map(Pairs)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Returns containers with JSON in strings."""
    return _containers(
        inner | st.builds(lambda value, seed: _written(value, random.Random(seed)), inner, st.integers())
    )


flat = st.recursive(scalars | texts, _containers, max_leaves=12)
values = flat | _nested(flat) | _nested(_nested(flat))
documents = st.builds(lambda value, seed: _written(value, random.Random(seed)).encode(), values, st.integers())


def _written(value: Any, chance: random.Random) -> str:
    """Returns JSON for the value, with blanks anywhere and any characters as escapes."""

    def blank() -> str:
        return chance.choice(["", "", "", " ", "\n\t ", " " * 12])

    if isinstance(value, str):
        return '"' + "".join(_character(char, chance) for char in value) + '"'
    if isinstance(value, Pairs):
        members = [f"{_written(k, chance)}{blank()}:{blank()}{_written(v, chance)}{blank()}" for k, v in value]
        return f"{{{blank()}{(',' + blank()).join(members)}}}"
    if isinstance(value, list):
        return f"[{blank()}{(blank() + ',' + blank()).join(_written(v, chance) for v in value)}{blank()}]"
    return json.dumps(value)


def _character(char: str, chance: random.Random) -> str:
    must = char in '"\\' or char < " "
    if must or chance.random() < 0.1:
        short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n"}.get(char)
        if short and chance.random() < 0.7:
            return short
        return "".join(f"\\u{unit:04{chance.choice('xX')}}" for unit in _units(char))
    return char


def _units(char: str) -> list[int]:
    raw = char.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def _leaves(value: Any) -> list[str]:
    """Returns every key, string and number in a value, with those in strings that are JSON themselves."""
    if isinstance(value, Pairs):
        return [leaf for key, inner in value for leaf in (key, *_leaves(inner))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return [value, *_leaves(_read(value.encode()))]
        except ValueError:
            return [value]
    return [value if isinstance(value, str) else json.dumps(value)]


def _read(document: bytes) -> Any:
    return json.loads(document, object_pairs_hook=Pairs)


def _shape(value: Any) -> Any:
    """Returns the value with all leaves taken away."""
    if isinstance(value, Pairs):
        return [("key", _shape(inner)) for _, inner in value]
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def _values(value: Any) -> list[str]:
    """Returns the strings and numbers in a value that are no keys."""
    if isinstance(value, Pairs):
        return [leaf for _, inner in value for leaf in _values(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _values(inner)]
    return [value if isinstance(value, str) else json.dumps(value)]


@SETTINGS
@given(maskers, documents)
def test_no_known_value_is_left_in_json(masker: Masker, document: bytes) -> None:
    """In no leaf, key, number, or string of JSON in a string; what comes out is JSON of the same shape."""
    masked = _read(whole(masker, JSON, document))
    assert _shape(masked) == _shape(_read(document))
    assert "4711" not in _values(masked)
    for leaf in _leaves(masked):
        for secret in LONG:
            assert secret not in leaf


@SETTINGS
@given(
    maskers, documents, st.sampled_from([JSON, PLAIN, "", SSE, NDJSON]), st.lists(st.integers(0, 1 << 20), max_size=4)
)
def test_no_cut_of_json_makes_a_difference(masker: Masker, document: bytes, kind: str, places: list[int]) -> None:
    """At once by the quick way, in pieces, and byte by byte; the counts are the same, too."""
    result = masker.whole(kind, "", document, key=KEY)
    if not result.counts:
        assert result.data is document
    for chunks in ([document], cut(document, places), pieces(document, 1)):
        body = masker.body(kind, "", key=KEY)
        assert b"".join([body.feed(chunk) for chunk in chunks]) + body.finish() == result.data
        assert dict(body.counts) == dict(result.counts)


@SETTINGS
@given(st.builds(lambda value, seed: _written(value, random.Random(seed)).encode(), flat, st.integers()))
def test_nothing_else_in_json_changes(document: bytes) -> None:
    """Around each token stand the bytes that stood there before, in their order."""
    masker = a_masker(KNOWN[3], detectors=["email"])
    masked = whole(masker, JSON, document)
    at = 0
    for part in _between_tokens(masked):
        found = document.find(part, at)
        assert found >= 0, part
        at = found + len(part)
    if "«".encode() not in masked:
        assert masked == document


def _between_tokens(masked: bytes) -> list[bytes]:
    """Returns what stands between the tokens; quotes beside a token may have come with it, also in JSON in a string."""
    text = masked.decode()
    parts = [part.partition("»")[2] if number else part for number, part in enumerate(text.split("«"))]
    return [part.strip('"\\').encode() for part in parts]


@SETTINGS
@given(maskers, texts, st.sampled_from([PLAIN, "text/html", FORM, JSON, SSE, NDJSON, "image/png"]), st.data())
def test_no_known_value_is_left_in_text(masker: Masker, text: str, kind: str, data: st.DataObject) -> None:
    """Of any type that it may be called; whatever the cut."""
    body = text.replace("\0", "").encode()
    if kind == "image/png":
        masker = MASKERS[0]
    masked = whole(masker, kind, body)
    for secret in LONG:
        assert secret.encode() not in masked
    for chunks in (cut(body, data.draw(st.lists(st.integers(0, 1 << 20), max_size=4))), pieces(body, 1)):
        assert fed(masker, kind, chunks) == masked


DIALECTS: list[tuple[Callable[[str], Any], tuple[str | int, ...]]] = [
    (text_delta, ("delta", "text")),
    (choice_delta, ("choices", 0, "delta", "content")),
    (lambda text: {"text": text}, ("text",)),
    (lambda text: {"note": text}, ("note",)),
    (lambda text: text, ()),
]


@SETTINGS
@given(
    st.sampled_from(LONG), st.text(max_size=8), st.integers(1, 5), st.sampled_from(DIALECTS), st.booleans(), st.data()
)
def test_no_known_value_is_left_in_texts_told_in_pieces(
    secret: str, around: str, size: int, dialect: Any, ascii_only: bool, data: st.DataObject
) -> None:
    """The text comes out as it was with tokens for secrets; line ends and cuts of the bytes do not matter."""
    make, path = dialect
    around = around.replace("«", "")
    newline = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    lines = [json.dumps(make(part), ensure_ascii=ascii_only).encode() for part in split(around + secret + around, size)]
    stream = events(*[line.replace(b"\x7f", b"") for line in lines], newline=newline)
    masker = a_masker(*KNOWN[:4])
    masked = whole(masker, SSE, stream)
    by_name = {value.value.decode(): value for value in KNOWN}
    known = by_name[secret]
    expected = around + token(known.name, known.value) + around
    assert told(masked, *path).replace("\x7f", "") == expected.replace("\x7f", "")
    assert len(datas(masked)) == len(lines)
    assert fed(masker, SSE, cut(stream, data.draw(st.lists(st.integers(0, 1 << 20), max_size=6)))) == masked
    assert fed(masker, SSE, pieces(stream, 1)) == masked


lines = st.sampled_from(
    [
        b"",
        b"",
        b"data",
        b": ping",
        b"id: 7",
        b"event: content_block_delta",
        b"data: [DONE]",
        b"data: zQ8/vT2+",
        b"data: kW5nR7xY",
        b"data: zQ8/vT2+kW5nR7xY",
        b": zQ8/vT2+kW5nR7xY",
        b'data: {"text":"zQ8\\/vT2+"}',
        b'data: {"text":"kW5nR7xY"}',
        b'data: {"text":',
        b'data: "a@b.example"}',
        b'data: {"type":"content_block_delta","index":0,"delta":{"text":"zQ8/vT2+kW"}}',
        b'data: {"type":"content_block_delta","index":0,"delta":{"text":"5nR7xY ada@exa"}}',
        b'data: {"type":"content_block_delta","index":1,"delta":{"partial_json":"{\\"a\\":8675309"}}',
        b'data: {"type":"content_block_delta","index":1,"delta":{"partial_json":"867530955}"}}',
        b'data: {"type":"content_block_stop","index":0}',
        b'data: {"type":"ping"}',
        b"x",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(MASKERS), st.lists(lines, max_size=14), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
def test_no_cut_of_events_makes_a_difference(
    masker: Masker, parts: list[bytes], newline: bytes, data: st.DataObject
) -> None:
    """Whatever lines follow each other, under whatever type."""
    stream = newline.join(parts)
    kind = data.draw(st.sampled_from([SSE, SSE, PLAIN, NDJSON]))
    masked = whole(masker, kind, stream)
    assert b"zQ8/vT2+kW5nR7xY" not in masked
    places = data.draw(st.lists(st.integers(0, 1 << 20), max_size=6))
    for chunks in ([stream], cut(stream, places), pieces(stream, 1), pieces(stream, 3)):
        assert fed(masker, kind, chunks) == masked


def _json_in_json(secret: str) -> bytes:
    return json.dumps({"arguments": json.dumps({"key": f"x {secret} y", "list": [secret]})}).encode()


ROWS: list[tuple[str, str, Callable[[str], list[bytes]]]] = [
    ("plain", PLAIN, lambda secret: [f"so {secret}, {secret}".encode()]),
    (
        "json",
        JSON,
        lambda secret: [json.dumps({"a": secret, "b": [f"x{secret}"]}).encode(), json.dumps(secret).encode()],
    ),
    ("json, unescaped", JSON, lambda secret: [json.dumps([secret], ensure_ascii=False).replace("/", "\\/").encode()]),
    ("json in json", JSON, lambda secret: [_json_in_json(secret)]),
    ("json in json in text", PLAIN, lambda secret: [b"body: " + _json_in_json(secret)]),
    ("url", PLAIN, lambda secret: [f"/x?{urllib.parse.urlencode({'k': secret})}&a".encode()]),
    (
        "url, quoted",
        PLAIN,
        lambda secret: [urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote(secret).encode()],
    ),
    ("form", FORM, lambda secret: [urllib.parse.urlencode({"k": secret, "l": f"x{secret}"}).encode()]),
    ("base64", PLAIN, lambda secret: list(stable_base64(secret.encode()))),
    (
        "base64 in json",
        JSON,
        lambda secret: [json.dumps([text.decode()]).encode() for text in stable_base64(secret.encode())],
    ),
    ("ndjson", NDJSON, lambda secret: [b"\n".join(json.dumps({"a": text}).encode() for text in (secret, "x", secret))]),
    *[
        (
            f"sse, {size} characters",
            SSE,
            lambda secret, size=size: [events(*map(make, split(secret, size))) for make, _ in DIALECTS],
        )
        for size in range(1, 6)
    ],
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_known_value_is_covered_in_every_representation(row: Any) -> None:
    """One hundred values drawn at random from what secrets are made of: every one, in every representation."""
    _, kind, written = row
    chance = random.Random(7)
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=-_.~!@#$%^&*"
    for number in range(100):
        secret = "".join(chance.choice(alphabet) for _ in range(chance.randrange(12, 48)))
        masker = a_masker(KnownValue(f"n{number}", secret.encode()))
        for body in written(secret):
            result = masker.whole(kind, "", body, key=KEY)
            assert result.counts, (secret, body)
            assert _is_covered(secret, result.data), (secret, result.data)


def _is_covered(secret: str, masked: bytes) -> bool:
    """Returns whether neither the bytes nor what clients decode from them hold the secret."""
    text = masked.decode()
    joined = ["".join(leaf for value in datas(masked) for leaf in _leaves(value))] if text.startswith("data:") else []
    seen = [text, urllib.parse.unquote_plus(text), urllib.parse.unquote(text), *joined]
    if text[:1] in ("{", "["):
        seen += [leaf for line in text.splitlines() for leaf in _leaves(_read(line.encode()))]
    encoded = base64.b64encode(secret.encode())[:-4]
    return not any(secret in view for view in seen) and encoded not in masked

"""The reader of JSON: leaves and their places, whatever the cut; what is not JSON; bounds."""

import itertools
import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.mask.json_reader import DEPTH_LIMIT, TOKEN_LIMIT, JsonReader, Leaf
from penstock._core.mask.pointer import Named, matcher

Told = list[tuple[bytes, bool, bytes, bool, bool]]

DOCUMENTS = [
    b"{}",
    b" [ ] ",
    b'"top"',
    b"-12.5e+3",
    b" true\n",
    b"NaN",
    b'{"a":1,"b":[true,null,"x"],"c":{"d":"e","f":{}}}',
    b'{ "a" : "\\"\\\\" , "\\u0061" :\t[ ] , "" : -Infinity }\r\n',
    b'[[["deep"]],{"k":[{"k":"v"}]},"last"]',
    b'{"a":"x","a":"y"}',
    b'{"one":1}\n{"two":2}[3]\n\n[4]',
    b'\xef\xbb\xbf{"bom":"yes"}',
    b'{"type":"thinking","thinking":"t","signature":"s","text":"x"}',
    b'["\xff\x80", "line\nline", "\\q"]',
]


def _told(chunks: list[bytes], named: Named | None = None, *, paths: bool = False) -> tuple[Told, JsonReader]:
    reader = JsonReader(named, paths=paths)
    found: Told = []
    for number, chunk in enumerate([*chunks, b""]):
        reader.buffer += chunk
        for leaf in reader.read(last=number == len(chunks)):
            text = bytes(reader.buffer[leaf.start : leaf.end])
            found.append((text, leaf.is_key, leaf.key, leaf.whole, leaf.signed))
        reader.drop()
        if reader.broken:
            break
    return found, reader


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("pointers", [[], ["/nowhere"]])
def test_leaves_do_not_depend_on_the_cut(document: bytes, pointers: list[str]) -> None:
    """Each cut in two, in three, and single bytes; with and without paths to follow."""
    named = matcher(pointers)
    expected, reader = _told([document], named)
    assert not reader.broken
    assert reader.buffer == b""
    size = len(document)
    for first, second in itertools.combinations_with_replacement(range(size + 1), 2):
        chunks = [document[:first], document[first:second], document[second:]]
        assert _told(chunks, named)[0] == expected, chunks
    assert _told([document[at : at + 1] for at in range(size)], named)[0] == expected


def test_keys_and_values_are_told_in_their_order() -> None:
    """A value with its decoded key, an element without."""
    told, _ = _told([b'{"\\u0061":1,"b":[true,"x"],"c":{"d":"e"}}'])
    assert told == [
        (b'"\\u0061"', True, b"", False, False),
        (b"1", False, b"a", False, False),
        (b'"b"', True, b"", False, False),
        (b"true", False, b"", False, False),
        (b'"x"', False, b"", False, False),
        (b'"c"', True, b"", False, False),
        (b'"d"', True, b"", False, False),
        (b'"e"', False, b"d", False, False),
    ]


def test_paths_are_told_if_asked_for() -> None:
    """Decoded keys, and indices as digits."""
    reader = JsonReader(paths=True)
    reader.buffer += b'{"\\u0061":[0,{"b":[1,2]}],"c":3}'
    leaves = [leaf for leaf in reader.read(last=True) if not leaf.is_key]
    assert [leaf.path for leaf in leaves] == [
        (b"a", b"0"),
        (b"a", b"1", b"b", b"0"),
        (b"a", b"1", b"b", b"1"),
        (b"c",),
    ]


@pytest.mark.parametrize(
    ("document", "pointer", "named"),
    [
        (b'{"a":{"b":1,"c":"x"},"d":2}', "/a", [b'{"b":1,"c":"x"}']),
        (b'{"a":[1,[2]],"d":2}', "/a/1", [b"[2]"]),
        (b'{"a":[{"b":1},{"b":"2"},{"c":3}]}', "/a/*/b", [b"1", b'"2"']),
        (b'{"a":{"a":1}}', "/a/a", [b"1"]),
        (b'{"a":1,"a":"2"}', "/a", [b"1", b'"2"']),
        (b'{"\\u0061~\\/":true}', "/a~0~1", [b"true"]),
        (b' {"a": 1} ', "", [b'{"a": 1}']),
        (b"12", "", [b"12"]),
        (b'{"":{"":null}}', "//", [b"null"]),
        (b'[0,1,2,3,4,5,6,7,8,9,"ten"]', "/10", [b'"ten"']),
        (b'{"a":{}}', "/a", [b"{}"]),
        (b'{"a":1}', "/b", []),
        (b'{"a":"x"}', "/a/0", []),
    ],
)
def test_what_a_pointer_names_is_one_leaf(document: bytes, pointer: str, named: list[bytes]) -> None:
    """Whatever it is, however the document is cut; nothing inside of it is told besides."""
    for chunks in ([document], [document[at : at + 1] for at in range(len(document))]):
        told, reader = _told(chunks, matcher([pointer]))
        assert not reader.broken
        assert [text for text, _, _, whole, _ in told if whole] == named


@pytest.mark.parametrize(
    "document",
    [
        b'{"a"',
        b'{"a":',
        b'{"a":1,}',
        b"[1,]",
        b"[,1]",
        b"{1:2}",
        b"{,}",
        b'{"a" 1}',
        b'["a" "b"]',
        b"[1 2]",
        b"]",
        b"[1}",
        b'{"a":1]',
        b'"open',
        b'"open\\"',
        b"tru",
        b"truex",
        b"[nul]",
        b"1 2",
        b'"a" "b"',
        b"text",
        b'{"a":1} x',
        b"+1",
        b"[--1]",
        b"'a'",
        b"data: {}",
    ],
)
def test_what_is_not_json_is_broken(document: bytes) -> None:
    """However it is cut; what was read before is told."""
    assert _told([document])[1].broken
    assert _told([document[at : at + 1] for at in range(len(document))])[1].broken


def test_a_key_is_not_told_before_its_value_begins() -> None:
    """What stops being JSON after a key is scanned as text together with its key."""
    told, reader = _told([b'{"a":1,"api_key" = "x"}'])
    assert told == [(b'"a"', True, b"", False, False), (b"1", False, b"a", False, False)]
    assert reader.buffer.startswith(b'"api_key" = ')


def test_signed_members_are_marked() -> None:
    """By the type before them in their own object."""
    told, _ = _told([b'[{"type":"thinking","thinking":"a","x":"b"},{"type":"text","thinking":"c","n":{"data":"d"}}]'])
    assert [text for text, _, _, _, signed in told if signed] == [b'"a"']


@pytest.mark.parametrize("piece", [b"[", b'{"a":', b'[{"a":'])
def test_what_is_too_deep_is_refused(piece: bytes) -> None:
    """After a bounded number of levels, and before memory is used up."""
    reader = JsonReader()
    with pytest.raises(Unmaskable, match="deep"):
        for _ in range(2 * DEPTH_LIMIT // 500):
            reader.buffer += piece * 1000
            reader.read()
            reader.drop()


def test_deep_json_within_the_limit_is_read() -> None:
    """Deeper than any reader that is known to us goes."""
    told, reader = _told([b"[" * DEPTH_LIMIT + b"1" + b"]" * DEPTH_LIMIT])
    assert not reader.broken
    assert told == [(b"1", False, b"", False, False)]


@pytest.mark.parametrize("begin", [b'["', b'{"', b'{"a":"', b"[1", b"[" + b'"x",' * 9 + b'"'])
def test_an_endless_token_is_refused(begin: bytes) -> None:
    """A string, a key, a number: what is held is bounded."""
    reader = JsonReader()
    reader.buffer += begin
    with pytest.raises(Unmaskable, match="long"):
        for _ in range(2 * TOKEN_LIMIT // 65536):
            reader.buffer += b"1" * 65536
            assert len(reader.buffer) <= TOKEN_LIMIT + 2 * 65536
            reader.read()
            reader.drop()


def test_an_endless_value_that_a_pointer_names_is_refused() -> None:
    """It is held as one, however small its parts are."""
    reader = JsonReader(matcher(["/a"]))
    reader.buffer += b'{"a":[0'
    with pytest.raises(Unmaskable, match="long"):
        for _ in range(2 * TOKEN_LIMIT // 65536):
            reader.buffer += b",1" * 32768
            reader.read()
            reader.drop()


@pytest.mark.parametrize("blank", [b" ", b"\n", b"\t"])
def test_blanks_between_values_are_not_held(blank: bytes) -> None:
    """They pass as they come: some servers send them while they compute."""
    reader = JsonReader()
    for _ in range(40):
        reader.buffer += blank * 65536
        assert reader.read() == []
        reader.drop()
        assert len(reader.buffer) == 0


def test_a_leaf_tells_all_that_json_tells() -> None:
    """The strings, numbers and words of a large document, against the json module."""
    document = json.dumps({f"k{at}": [at, str(at), {"x": at % 3 == 0, "y": None}] for at in range(200)}).encode()
    told, _ = _told([document])
    values = [json.loads(text) for text, is_key, _, _, _ in told if not is_key]
    assert values == [leaf for at in range(200) for leaf in (at, str(at), at % 3 == 0, None)]
    assert "secret" not in repr(Leaf(0, 1, key=b"secret"))

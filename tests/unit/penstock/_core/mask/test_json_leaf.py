"""One leaf of JSON, in the company of others."""

import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import NESTED_DEPTH, LeafMask
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.token import Mint
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import EMAIL, KEY, KNOWN, SECRET, TEXT, token

TOKEN = token("db", SECRET).encode()


def _leaf_mask(*known: KnownValue, detectors: tuple[str, ...] = ()) -> tuple[LeafMask, Mint]:
    mint = Mint(KEY)
    return LeafMask(Finder(known or [KNOWN], frozenset(detectors)), mint), mint


def _masked(mask: LeafMask, document: bytes) -> bytes:
    reader = JsonReader()
    reader.buffer += document
    out = b""
    at = 0
    for start, end, new in mask.splices(document, reader.read(last=True)):
        out += document[at:start] + new
        at = end
    return out + document[at:]


def test_only_leaves_that_change_have_a_part() -> None:
    """Each with the bytes that it takes the place of."""
    mask, mint = _leaf_mask()
    document = b'["a","' + SECRET + b'","b"]'
    leaves = [Leaf(1, 4), Leaf(5, 23), Leaf(24, 27)]
    assert mask.splices(document, leaves) == [(5, 23, b'"' + TOKEN + b'"')]
    assert mint.counts == {"db": 1}
    assert mask.splices(document, []) == []


@pytest.mark.parametrize("count", [1, 2, 50])
def test_every_leaf_with_a_find_is_found(count: int) -> None:
    """Although all are looked through together: first, last, neighbours, empty ones between."""
    mask, mint = _leaf_mask(KNOWN, detectors=("email",))
    document = json.dumps(["", TEXT, "", EMAIL, {"k": EMAIL, "": ""}, EMAIL, TEXT] * count).encode()
    masked = _masked(mask, document).decode()
    assert TEXT not in masked
    assert EMAIL not in masked
    assert mint.counts == {"db": 2 * count, "email": 3 * count}


def test_nothing_is_found_across_leaves() -> None:
    """The end of one and the begin of the next are not one text, with any byte between them."""
    mask, _ = _leaf_mask(KNOWN, KnownValue("nul", b"abcdef\0ghijkl"), detectors=("all",))
    document = json.dumps(
        [TEXT[:8], TEXT[8:], "ada", "@example.com", "abcdef", "ghijkl", "ada@", "example.com"]
    ).encode()
    assert _masked(mask, document) == document


def test_nul_bytes_in_a_leaf_mix_nothing_up() -> None:
    """They may be written as escapes."""
    mask, _ = _leaf_mask(KNOWN, KnownValue("nul", b"abcdef\0ghijkl"))
    document = json.dumps(["\0\0", f"\0{TEXT}\0", "x\0y", "abcdef\0ghijkl", TEXT, "\0"]).encode()
    value = json.loads(_masked(mask, document))
    assert value[:3] == ["\0\0", f"\0{TOKEN.decode()}\0", "x\0y"]
    assert value[3].startswith("«nul:")
    assert value[4:] == [TOKEN.decode(), "\0"]


def test_a_value_is_seen_with_its_key() -> None:
    """As key="value"; only the value is masked, and only behind a telling key."""
    mask, mint = _leaf_mask(KNOWN, detectors=("secrets",))
    value = "h7Gd" + "93kLmQx0"
    document = json.dumps({"password": value, "name": value, "note": f"password={value}"}).encode()
    masked = json.loads(_masked(mask, document))
    assert masked["password"].startswith("«")
    assert masked["name"] == value
    assert masked["note"].startswith("password=«")
    assert sum(mint.counts.values()) == 2


@pytest.mark.parametrize("depth", range(1, NESTED_DEPTH + 3))
def test_json_in_strings_is_masked_at_any_depth(depth: int) -> None:
    """Decoded as far as NESTED_DEPTH, and looked through as text below."""
    mask, _ = _leaf_mask(KnownValue("db", b"plainletters"))
    document = "say plainletters now"
    for _ in range(depth):
        document = json.dumps({"in": document})
    masked = _masked(mask, document.encode()).decode()
    assert "plainletters" not in masked
    for _ in range(depth):
        masked = json.loads(masked)["in"]
    assert masked.startswith("say «db:")


def test_a_known_value_that_is_json_is_masked_in_a_string() -> None:
    """A service account within a string, also beside other JSON: as a whole."""
    account = json.dumps({"user": "bob", "pin": "12,34", "n": [1, 2]}).encode()
    mask, _ = _leaf_mask(KnownValue("account", account))
    for text in (account.decode(), f'{{"x": {account.decode()}}}', f"see {account.decode()}!"):
        masked = json.loads(_masked(mask, json.dumps({"cfg": text}).encode()))["cfg"]
        assert "12,34" not in masked
        assert "«account:" in masked


@pytest.mark.parametrize("text", ["{", "[1,", "{'a': 1}", "[x] and more", "{}x", " [", "[" * 3000])
def test_what_only_begins_like_json_is_text(text: str) -> None:
    """It is masked as text."""
    mask, _ = _leaf_mask()
    masked = json.loads(_masked(mask, json.dumps([f"{text} {TEXT}"]).encode()))
    assert masked == [f"{text} {TOKEN.decode()}"]


def test_a_whole_leaf_becomes_one_token() -> None:
    """What a pointer names, whatever is in it."""
    mask, mint = _leaf_mask()
    document = b'{"a":{"b":"' + SECRET + b'"}}'
    ((start, end, new),) = mask.splices(document, [Leaf(5, len(document) - 1, whole=True)])
    assert (start, end) == (5, len(document) - 1)
    assert new.startswith('"«json:'.encode())
    assert mint.counts == {"json": 1}


def test_the_same_text_has_the_same_token_however_it_is_escaped() -> None:
    """Also where a pointer names it."""
    mask, _ = _leaf_mask()
    document = b'["a/b","a\\/b"]'
    first, second = mask.splices(document, [Leaf(1, 6, whole=True), Leaf(7, 13, whole=True)])
    assert first[2] == second[2]


def test_signed_text_raises_or_stays() -> None:
    """Only known values matter in it."""
    mask, _ = _leaf_mask(KNOWN, detectors=("all",))
    mail = json.dumps(EMAIL).encode()
    assert mask.splices(mail, [Leaf(0, len(mail), signed=True)]) == []
    secret = b'"' + SECRET + b'"'
    with pytest.raises(Unmaskable, match="signed"):
        mask.splices(secret, [Leaf(0, len(secret), signed=True)])


@pytest.mark.parametrize("number", ["12345678901", "-12345678901", "12345678901.5", "912345678901"])
def test_a_number_with_a_find_becomes_a_string(number: str) -> None:
    """All of it: digits beside a token would be no JSON."""
    mask, _ = _leaf_mask(KnownValue("id", b"12345678901"))
    value = json.loads(_masked(mask, f"[{number},1]".encode()))
    assert value[0].startswith("«id:")
    assert value[0].endswith("»")
    assert value[1] == 1


@pytest.mark.parametrize("odd", [b"\\ud800", b"\xff", b"\xc3", b"\\u0000", b"\\\\ud800"])
def test_what_is_no_text_beside_a_find_stays(odd: bytes) -> None:
    """Lone surrogates and bytes that are no UTF-8, in JSON within a string."""
    mask, _ = _leaf_mask()
    document = b'{"a":"{\\"b\\":\\"%s\\",\\"c\\":\\"x%sy\\"}"}' % (SECRET, odd)
    assert _masked(mask, document) == document.replace(SECRET, TOKEN)


def test_a_masked_key_counts_once() -> None:
    """Its value is shown to the detectors with it, and is not masked for that."""
    mask, mint = _leaf_mask()
    assert _masked(mask, b'{"' + SECRET + b'":"x"}') == b'{"' + TOKEN + b'":"x"}'
    assert mint.counts == {"db": 1}

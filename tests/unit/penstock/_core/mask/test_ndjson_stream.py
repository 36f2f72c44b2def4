"""Lines of JSON."""

import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import (
    EMAIL,
    KEY,
    KNOWN,
    NDJSON,
    SECRET,
    TEXT,
    a_masker,
    fed,
    pieces,
    same_however_cut,
    split,
    token,
    whole,
)

TOKEN = token("db", SECRET)


def _lines(*values: object, newline: str = "\n") -> bytes:
    return "".join(json.dumps(value) + newline for value in values).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 40])
def test_a_text_told_over_lines_is_one(size: int) -> None:
    """As services of language models tell it."""
    text = f"the key {TEXT}, {TEXT}."
    lines = _lines(*[{"model": "m", "response": part, "done": False} for part in split(text, size)], {"done": True})
    masked = whole(a_masker(), NDJSON, lines)
    values = [json.loads(line) for line in masked.splitlines()]
    assert "".join(value.get("response", "") for value in values) == text.replace(TEXT, TOKEN)
    assert len(values) == lines.count(b"\n")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n", " \n"])
def test_nothing_depends_on_how_the_bytes_are_cut(newline: str) -> None:
    """With any line ends, and a last line without one."""
    lines = _lines(
        {"a": TEXT}, [1, TEXT], {"b": TEXT[:7]}, {"b": TEXT[7:]}, {"c": json.dumps({"d": TEXT})}, newline=newline
    )
    for data in (lines, lines.rstrip()):
        masked = same_however_cut(a_masker(), NDJSON, data)
        assert SECRET not in masked
        assert masked.decode().count(TOKEN) == 4
        assert masked.count(b"\n") == data.count(b"\n")


def test_lines_without_a_find_stay_as_they_are() -> None:
    """Blanks, escapes, order of keys, blank lines."""
    data = b' {"b" : 1,"a":"\\u0041\\/"}\r\n\n[ 1 ]\n{"x":"\xff"}\n{}'
    assert same_however_cut(a_masker(KNOWN, detectors=["all"]), NDJSON, data) == data


def test_a_line_goes_out_when_it_is_complete() -> None:
    """And not before: a cut line may be cut inside of a secret."""
    body = a_masker().body(NDJSON, "", key=KEY)
    assert body.feed(b'{"a": 1') == b""
    assert body.feed(b'}\n{"a": ') == b'{"a": 1}\n'
    assert body.feed(b"2}") == b""
    assert body.finish() == b'{"a": 2}'


@pytest.mark.parametrize(
    "rest",
    [
        b"not JSON " + SECRET,
        b'{"a": ' + SECRET,
        b'{"a": "' + SECRET,
        b'{"a": "' + SECRET + b'"} x ' + SECRET,
        b'"' + SECRET + b'"',
        b'{\n"a":\n"' + SECRET + b'"\n}\n',
        b"<html>\n" + SECRET + b"\n</html>",
    ],
)
def test_what_is_no_json_is_masked_as_text(rest: bytes) -> None:
    """From there on, and before it as lines."""
    data = b'{"x": "' + SECRET + b'"}\n' + rest
    masked = same_however_cut(a_masker(), NDJSON, data)
    assert SECRET not in masked
    assert masked.decode().count(TOKEN) == data.count(SECRET)


def test_pointers_name_places_in_each_line() -> None:
    """What they name is masked, and what is not JSON is refused then."""
    masker = a_masker(json=["/name", "/a/*"])
    masked = same_however_cut(masker, NDJSON, _lines({"name": "Ada"}, {"a": [1, {"b": 2}]}, {"name": 5, "b": 1}))
    first, second, third = [json.loads(line) for line in masked.splitlines()]
    assert first["name"].startswith("«json:")
    assert [value.startswith("«json:") for value in second["a"]] == [True, True]
    assert third["name"].startswith("«json:")
    assert third["b"] == 1
    for rest in (b'{"name": "Ada', b"Ada"):
        with pytest.raises(Unmaskable, match="pointers"):
            fed(masker, NDJSON, [b'{"b": 1}\n', rest])


def test_an_endless_line_is_refused() -> None:
    """Not held without bound, not let through."""
    body = a_masker().body(NDJSON, "", key=KEY)
    with pytest.raises(Unmaskable, match="long"):
        for _ in range(40):
            assert body.feed(b'{"a": "' + b"x" * 65536) == b""


def test_detectors_and_short_values_see_lines() -> None:
    """A short known value only where it is all of a string or number."""
    masker = a_masker(KnownValue("pin", b"4711"), detectors=["email"])
    data = _lines({"pin": "4711", "n": 4711, "x": "47110"}, {"to": EMAIL})
    first, second = [json.loads(line) for line in same_however_cut(masker, NDJSON, data).splitlines()]
    assert first["pin"] == first["n"] == token_of_pin()
    assert first["x"] == "47110"
    assert second["to"].startswith("«email:")


def token_of_pin() -> str:
    """Returns the token of the short value."""
    masked = whole(a_masker(KnownValue("pin", b"4711")), "application/json", b'["4711"]')
    assert isinstance(json.loads(masked)[0], str)
    return str(json.loads(masked)[0])


def test_signed_thinking_raises_in_lines_too() -> None:
    """Some gateways tell Anthropic's events as lines."""
    delta = {"type": "thinking_delta", "thinking": TEXT}
    with pytest.raises(Unmaskable, match="signed"):
        fed(a_masker(), NDJSON, pieces(_lines({"type": "content_block_delta", "index": 0, "delta": delta}), 9))


def test_a_json_text_sequence_is_read_as_lines() -> None:
    """Each record begins with RS (RFC 7464), which hides nothing behind it and stays."""
    escaped = "".join(f"\\u{ord(char):04x}" for char in TEXT).encode()
    body = b'\x1e{"a":"%s"}\n\x1e{"text":"%s"}\n\x1e{"text":"%s"}\n'
    masked = same_however_cut(a_masker(), "application/json-seq", body % (escaped, SECRET[:8], SECRET[8:]))
    token_ = token("db", SECRET).encode()
    assert masked == body % (token_, token_, b"")

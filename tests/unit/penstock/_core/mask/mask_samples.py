"""What the tests of masking share: secrets, maskers, and ways to cut and to read streams."""

import base64
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from penstock._core.mask import Masker
from penstock._core.verdict import KnownValue, MaskSpec

KEY = b"k" * 32
SECRET = b"zQ8/vT2+kW5nR7xY"
TEXT = SECRET.decode()
KNOWN = KnownValue("db", SECRET)
SIZES = (1, 2, 3, 5, 8, 13, 64, 1000)
"""Sizes of pieces in which a body is fed."""
CARD = "4111" + "1" * 12
EMAIL = "ada" + "@" + "example.com"

JSON, NDJSON, SSE = "application/json", "application/x-ndjson", "text/event-stream"
PLAIN, FORM = "text/plain", "application/x-www-form-urlencoded"


def a_masker(
    *known: KnownValue, detectors: Iterable[str] = (), json: Iterable[str] = (), headers: Iterable[str] = ()
) -> Masker:
    """Returns a masker; without arguments one that knows one secret."""
    spec = MaskSpec(frozenset(detectors), frozenset(json), frozenset(headers))
    is_bare = not known and spec == MaskSpec()
    return Masker([KNOWN] if is_bare else known, spec)


def whole(masker: Masker, content_type: str, data: bytes) -> bytes:
    """Returns a body masked at once."""
    return masker.whole(content_type, "", data, key=KEY).data


def fed(masker: Masker, content_type: str, pieces: Iterable[bytes]) -> bytes:
    """Returns a body masked piece by piece."""
    body = masker.body(content_type, "", key=KEY)
    return b"".join([body.feed(piece) for piece in pieces]) + body.finish()


def pieces(data: bytes, size: int) -> list[bytes]:
    """Returns the data in pieces of one size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Returns the data cut at these places."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def same_however_cut(masker: Masker, content_type: str, data: bytes) -> bytes:
    """Returns the masked body, after checking that every cut in two and pieces of many sizes give the same."""
    expected = whole(masker, content_type, data)
    for at in range(len(data) + 1):
        assert fed(masker, content_type, [data[:at], data[at:]]) == expected, at
    for size in SIZES:
        assert fed(masker, content_type, pieces(data, size)) == expected, size
    return expected


def events(*values: Any, newline: bytes = b"\n") -> bytes:
    """Returns a stream of events; a value that is no bytes is written as JSON."""
    lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return b"".join(b"data: " + line + newline * 2 for line in lines)


def datas(stream: bytes) -> list[Any]:
    """Returns the data of each event, read as JSON where it is that, as a plain client reads it."""
    found: list[Any] = []
    for event in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in event.decode().split("\n") if line.startswith("data:"))
        if data:
            try:
                found.append(json.loads(data))
            except ValueError:
                found.append(data)
    return found


def split(text: str, size: int) -> list[str]:
    """Returns a text in parts of one size."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def text_delta(text: str, index: int = 0) -> dict[str, Any]:
    """Returns an event of the Anthropic Messages API that tells a piece of text."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def json_delta(text: str, index: int = 0) -> dict[str, Any]:
    """Returns an event of the Anthropic Messages API that tells a piece of a tool's input."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}}


def choice_delta(text: str, index: int = 0) -> dict[str, Any]:
    """Returns an event of OpenAI's chat completions that tells a piece of text."""
    return {"id": "c1", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": None}]}


def told(stream: bytes, *path: str | int) -> str:
    """Returns the pieces that stand at one path of the events, put together."""
    parts = []
    for value in datas(stream):
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = ""
                break
        parts.append(value)
    return "".join(part for part in parts if isinstance(part, str))


def token(kind: str, value: bytes) -> str:
    """Returns the token that takes a value's place, as a plain text shows it."""
    known = KnownValue(kind, value)
    return whole(a_masker(known), PLAIN, value).decode()


def stable_base64(value: bytes) -> Sequence[bytes]:
    """Returns base64 of a text with the value in it, at each of the three places in a group of three."""
    return [base64.b64encode(b"user:x"[: 3 + before] + value + b"\nmore") for before in range(3)]

"""Long streams: what is held stays bounded, and the work grows with the length alone."""

import gc
import sys
import tracemalloc
from typing import Any

import pytest

from penstock._core.mask import BodyMask
from unit.penstock._core.mask.mask_samples import (
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
    text_delta,
)

PROSE = "It is a truth universally acknowledged, that a single stream in possession of a good secret. " * 8
CHUNK = 65536
STREAMS = [
    (JSON, b"[", b'{"id":1,"text":"%s","tags":["a","b"],"sum":12.5},' % PROSE.encode()),
    (NDJSON, b"", b'{"id":1,"text":"%s","tags":["a","b"]}\n' % PROSE.encode()),
    (SSE, b"", events(text_delta(PROSE)) + events({"type": "ping"}) + events({"note": PROSE})),
    (PLAIN, b"", PROSE.encode() + b"\n"),
    (FORM, b"", b"a=%s&b=1&" % PROSE.replace(" ", "+").encode()),
]
"""A type, what comes first, and what comes again and again."""


def _chunk(piece: bytes) -> bytes:
    return piece * (CHUNK // len(piece))


def _body(content_type: str, begin: bytes) -> BodyMask:
    body = a_masker().body(content_type, "", key=KEY)
    assert body.feed(begin) in (begin, b"")
    return body


@pytest.mark.parametrize(("content_type", "begin", "piece"), STREAMS)
def test_a_long_stream_goes_out_as_it_comes(content_type: str, begin: bytes, piece: bytes) -> None:
    """Of 20 MB less than one piece of 64 KiB is ever behind, and it all comes out the same."""
    chunk = _chunk(piece)
    body = _body(content_type, begin)
    given, got = len(begin), 0
    for _ in range(20_000_000 // len(chunk)):
        given += len(chunk)
        got += len(body.feed(chunk))
        assert given - got - len(begin) < CHUNK
    got += len(body.finish())
    assert got in (given, given - len(begin))
    assert body.counts == {}


@pytest.mark.parametrize(("content_type", "begin", "piece"), STREAMS)
def test_memory_does_not_grow_with_the_stream(content_type: str, begin: bytes, piece: bytes) -> None:
    """With secrets in it: after four times as much no more is held, and never more than a few pieces."""
    middle = len(piece) // 3
    chunk = _chunk(piece[:middle] + (b"" if content_type == FORM else b" ") + SECRET + piece[middle:])
    body = _body(content_type, begin)
    held = []
    tracemalloc.start()
    try:
        for number in range(1, 33):
            assert SECRET not in body.feed(chunk)
            if number in (8, 32):
                gc.collect()  # what is held counts, not when the collector last ran
                held.append(tracemalloc.get_traced_memory()[0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body.counts["db"] > 1000
    assert held[1] < held[0] + CHUNK
    assert peak < 8 << 20


def _calls(body: BodyMask, chunks: list[bytes]) -> int:
    """Returns how many functions are called while the chunks are masked."""
    count = 0

    def on_event(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on_event)
    try:
        for chunk in chunks:
            body.feed(chunk)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(("content_type", "begin", "piece"), STREAMS)
@pytest.mark.parametrize("size", [700, CHUNK])
def test_the_work_is_linear_in_the_length(content_type: str, begin: bytes, piece: bytes, size: int) -> None:
    """The last eighth of a stream takes as many calls as the second: whatever came before does not matter."""
    middle = len(piece) // 3
    data = (piece + piece[:middle] + SECRET + piece[middle:]) * (CHUNK // len(piece))
    body = _body(content_type, begin)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    counts = [_calls(body, chunks) for _ in range(8)]
    assert counts[-1] <= counts[1] * 1.05 + 50


@pytest.mark.parametrize("content_type", [JSON, NDJSON, PLAIN, SSE])
def test_one_long_string_is_not_scanned_again_and_again(content_type: str) -> None:
    """It comes in small pieces: each takes as many calls as the one before."""
    body = a_masker(KNOWN, detectors=["email"]).body(content_type, "", key=KEY)
    body.feed(b'data: {"a":"' if content_type == SSE else b'{"a":"')
    counts = [_calls(body, [b"x" * 500] * 100) for _ in range(10)]
    assert counts[-1] <= counts[1] * 1.05 + 50


def test_held_text_is_not_fed_again() -> None:
    """Events that wait behind a begun secret: each costs the same."""
    body = a_masker().body(SSE, "", key=KEY)
    body.feed(events(text_delta(TEXT[:6])))
    counts = [_calls(body, [events({"type": "content_block_start", "index": 1, "x": "y"})] * 10) for _ in range(3)]
    assert counts[-1] <= counts[0] * 1.5 + 50

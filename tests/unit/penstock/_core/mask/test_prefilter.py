"""Both engines that say which patterns occur: the same answers, for long texts, many threads and much garbage."""

import gc
import sys
import threading
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.mask import prefilter
from penstock._core.mask.detectors import all_detectors
from penstock._core.mask.partial import width
from penstock._core.mask.prefilter import Occurring, escaped, hyperscan_prefilter, new_prefilter, re2_prefilter

DETECTORS = all_detectors()
SOURCES = [(detector.hint or detector.pattern).encode() for detector in DETECTORS]
WIDEST = max(width(detector.pattern) for detector in DETECTORS)
ENGINES = (hyperscan_prefilter(SOURCES), re2_prefilter(SOURCES, WIDEST))
EXAMPLES = [example.encode() for detector in DETECTORS for example in detector.examples + detector.not_examples]
WINDOW = prefilter.RE2_WINDOW
WORD = rb"\bkey-[0-9]{4}\b"


def both(patterns: Sequence[bytes], widest: int) -> tuple[Occurring, Occurring]:
    """Returns the same prefilter over both engines."""
    return hyperscan_prefilter(patterns), re2_prefilter(patterns, widest)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(EXAMPLES) | st.binary(max_size=6) | st.sampled_from([b" ", b"\n", b"-", b"a"]), max_size=8)
)
def test_both_engines_find_the_same_detectors(parts: list[bytes]) -> None:
    """Each index once, in any order, whatever the bytes."""
    text = b"".join(parts)
    first, second = (engine(text) for engine in ENGINES)
    assert sorted(first) == sorted(second)
    assert len(set(first)) == len(first)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EXAMPLES), st.integers(0, 150_000)), max_size=4), st.sampled_from(b" a\n0."))
def test_both_engines_agree_beyond_one_window(placed: list[tuple[bytes, int]], fill: int) -> None:
    """Texts that the fallback reads in parts: a match that lies across a cut is seen, whatever is around it."""
    text = bytearray([fill]) * 150_000
    for secret, at in placed:
        text[at : at + len(secret)] = secret
    assert sorted(ENGINES[0](bytes(text))) == sorted(ENGINES[1](bytes(text)))


@pytest.mark.parametrize("before", [b" ", b"x", b"."])
@pytest.mark.parametrize("after", [b" ", b"x"])
def test_a_cut_of_the_fallback_is_no_edge_of_a_word(before: bytes, after: bytes) -> None:
    """At every place near a cut both engines see the same: the byte beside a part counts."""
    engines = both([WORD, rb"\bkey-", rb"\B-[0-9]{4}\b", rb"-12\B"], 8)
    for at in range(WINDOW - 30, WINDOW + 4):
        text = before * at + b"key-1234" + after * 100
        assert sorted(engines[0](text)) == sorted(engines[1](text)), at


@pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW])
def test_a_match_at_either_end_is_seen(size: int) -> None:
    """The first and the last bytes of a text of any size are looked at."""
    for engine in both([WORD, rb"\bend-[0-9]{4}\b"], 8):
        assert engine(b"key-1234 " + b" " * size) == [0]
        assert engine(b" " * size + b" end-1234") == [1]
        assert sorted(engine(b"key-1234" + b" " * (size + 1) + b"end-1234")) == [0, 1]
        assert engine(b" " * size) == []


@pytest.mark.parametrize("engine", both([escaped(bytes([byte]) + b"]}") for byte in range(256)], 3))
def test_every_byte_is_only_itself(engine: Occurring) -> None:
    """An escaped literal stands for exactly its bytes, NUL, line ends and bytes beyond ASCII included."""
    for byte in range(256):
        assert engine(b"x" + bytes([byte]) + b"]}") == [byte]


def test_a_prefilter_without_patterns_finds_nothing() -> None:
    """Neither engine compiles an empty set; none is needed."""
    assert new_prefilter([], 0)(b"anything") == []


def test_each_answer_belongs_to_the_caller() -> None:
    """Changing an answer does not change the next."""
    for engine in both([WORD], 8):
        engine(b"key-1234").append(99)
        assert engine(b"key-1234") == [0]
        assert engine(b"nothing") == []


def test_the_fallback_is_taken_without_hyperscan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no wheel the answers are the same."""
    monkeypatch.setattr(prefilter, "hyperscan", None)
    assert new_prefilter([WORD], 8)(b"x" * WINDOW + b" key-1234") == [0]


def test_the_callback_outlives_garbage_collection() -> None:
    """The binding keeps no reference to it: scans amid collections, of objects that come and go, must not crash."""
    text = b" ".join(b"key-%04d" % at for at in range(50))
    for _ in range(12):
        engine = hyperscan_prefilter([WORD, rb"[a-z]{3}", rb"[0-9]{4}"])
        gc.collect()
        garbage = [[object()] for _ in range(100)]
        assert sorted(engine(text)) == [0, 1, 2]
        del garbage
        gc.collect()
        assert sorted(engine(text)) == [0, 1, 2]
        assert sys.getrefcount(engine) < 10


def test_many_threads_get_each_their_own_answer() -> None:
    """One prefilter is shared: no thread sees what another one's text holds."""
    patterns = [b"pattern-%03d!" % at for at in range(40)]
    engines = both(patterns, 12)
    wrong: list[object] = []

    def work(seed: int) -> None:
        random = Random(seed)
        for _ in range(150):
            expected = sorted(random.sample(range(40), random.randint(0, 3)))
            text = b" ".join(b"pattern-%03d!" % at for at in expected) + b"." * random.choice([0, 500, 70_000])
            wrong.extend(answer for engine in engines if (answer := sorted(engine(text))) != expected)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

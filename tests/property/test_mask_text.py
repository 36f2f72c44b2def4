"""Properties of masked text: one result for every cut, the union of all finds and nothing else, and no value left over.

The oracle is slow and plain: Python's re tried at every place of the whole text, and every spelling looked for.
"""

import re
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock._core.mask.checks import CHECKS
from penstock._core.mask.detectors import Detector, all_detectors
from penstock._core.mask.finder import Finder
from penstock._core.mask.known_values import spellings
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream, Tracker
from penstock._core.verdict import KnownValue

KEY = b"key of the tests"
KNOWN = (
    KnownValue("long", b'Xq"7/\\mZ+tW<9=pL&vRk%2'),
    KnownValue("nested", b"mZ+tW<9=pL"),
    KnownValue("overlapping", b"vRk%2-follows-on"),
    KnownValue("self", b"abaabaabaaba"),
    KnownValue("lines", b"first-Line-47\nsecond-Line-48\r\nthird-Line-49"),
    KnownValue("umlaut", "schlüßel-größe-9".encode()),
    KnownValue("binary", b"\xff\x00\x10\x80binary\xfe\xfd"),
)
FINDER = Finder(KNOWN, frozenset({"all"}))
KNOWN_ONLY = Finder(KNOWN, frozenset())
EXAMPLES = tuple(example.encode() for detector in all_detectors() for example in detector.examples)
NOT_EXAMPLES = tuple(example.encode() for detector in all_detectors() for example in detector.not_examples)
SPELLINGS = tuple(sorted(literal for known in KNOWN for literal in spellings(known.value)))
TOKEN = re.compile("«[A-Za-z0-9_.@/-]+:[A-Z2-7]{10}»".encode())

SEPARATORS = st.sampled_from(
    [b" ", b"\n", b"", b".", b"-", b"_", b'"', b"'", b"=", b": ", b"/", b"+", b"\\n", b"\0", b"\xc3", b"1"]
)
WORDS = st.sampled_from(
    [b"the text", b"id", b"4242", b"sk-", b"Bearer ", b"password=", b"-----", b"BEGIN ", b"END ", b"eyJ", b"AKIA", b"x"]
)
WHOLE = st.sampled_from(EXAMPLES) | st.sampled_from(NOT_EXAMPLES) | st.sampled_from(SPELLINGS)
CUT_OFF = st.tuples(WHOLE, st.integers(0, 80), st.booleans()).map(
    lambda it: it[0][it[1] :] if it[2] else it[0][: it[1]]
)
SOUP = st.lists(WHOLE | CUT_OFF | WORDS | SEPARATORS | st.binary(max_size=4), max_size=8).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    """Returns the text in parts, cut at these places where there is text."""
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    return [text[low:high] for low, high in pairwise(places)]


def masked(finder: Finder, parts: list[bytes]) -> bytes:
    """Returns what a stream gives for the parts, the end told by an empty piece."""
    stream = TextStream(finder, Mint(KEY))
    return b"".join([stream.feed(part) for part in parts] + [stream.feed(b"", last=True)])


def masked_bytes(finder: Finder, parts: list[bytes]) -> set[int]:
    """Returns the places of all bytes that a tracker masks in the parts together."""
    tracker = Tracker(finder, Mint(KEY))
    stretches = [stretch for part in parts for stretch in tracker.feed(part)] + tracker.feed(b"", last=True)
    return {at for stretch in stretches for at in range(stretch.start, stretch.end)}


@cache
def plain(pattern: str) -> Any:
    """Returns a pattern as Python reads it."""
    return re.compile(pattern.encode())


def found_at(text: bytes, at: int, detector: Detector) -> range:
    """Returns which bytes a detector masks for a match that begins here."""
    pattern = plain(detector.pattern)
    match = pattern.match(text, at)
    if match is None:
        return range(0)
    start, end = match.span("secret" if "secret" in pattern.groupindex else 0)
    if detector.until:
        close = plain(detector.until).search(text, match.end())
        end = len(text) if close is None else close.start() if detector.keep_end else close.end()
    elif detector.check:
        end = start + CHECKS[detector.check](text[match.start() : start], text[start:end])
    return range(start, end)


def everything(text: bytes) -> set[int]:
    """Returns the places of all bytes that any match anywhere, of any detector or spelling, covers."""
    found = {at for detector in all_detectors() for begin in range(len(text)) for at in found_at(text, begin, detector)}
    return found | known_bytes(text)


def known_bytes(text: bytes) -> set[int]:
    """Returns the places of all bytes of spellings of known values, and of one that the end of the text cuts off."""
    found = {
        at
        for literal in SPELLINGS
        for begin in range(len(text))
        if text.startswith(literal, begin)
        for at in range(begin, begin + len(literal))
    }
    cut = (at for at in range(len(text) - 7) if any(literal.startswith(text[at:]) for literal in SPELLINGS))
    return found | set(range(next(cut, len(text)), len(text)))


@settings(max_examples=250, deadline=None)
@given(SOUP, CUTS)
def test_masked_text_does_not_depend_on_how_it_was_cut(text: bytes, cuts: list[int]) -> None:
    """Whatever the pieces, the output is the same, to the last byte and token."""
    whole = masked(FINDER, [text])
    assert masked(FINDER, pieces(text, cuts)) == whole
    assert masked(FINDER, [text[at : at + 1] for at in range(len(text))]) == whole
    assert TextStream(FINDER, Mint(KEY)).feed(text, last=True) == whole


def test_each_example_is_masked_alike_for_every_cut_in_two() -> None:
    """Every detector's examples, each amid random text, give the same output for all cuts in two and byte by byte."""
    random = Random(7)
    before, behind = [b" ", b"\n", b'"', b"(", b"a=", b"- "], [b" ", b"\n", b'"', b", ", b")", b"' ", b" - "]
    for secret in EXAMPLES:
        text = random.choice(before) + secret + random.choice(behind) + random.choice(EXAMPLES)[:9]
        whole = masked(FINDER, [text])
        assert TOKEN.search(whole), secret
        for cut in range(1, len(text)):
            assert masked(FINDER, [text[:cut], text[cut:]]) == whole, (text, cut)
        assert masked(FINDER, [text[at : at + 1] for at in range(len(text))]) == whole, text


@settings(max_examples=100, deadline=None)
@given(SOUP, CUTS)
@example(b"+49 30 1234 5678" * 3, [20])
@example(b"4111 4242 4242 4242 4242", [12])
@example(b"AT61 1904 3002 3457 3201 DE89 3704 0044 0532 0130 00", [30])
@example(b"password=hunter2hunter2&client_" + b"secret=Zz9Yy8Xx7Ww6Vv5U", [])
def test_masked_is_the_union_of_all_matches(text: bytes, cuts: list[int]) -> None:
    """Masked is each match at each place of the whole text, of detectors and spellings; not one byte beside them."""
    assert masked_bytes(FINDER, pieces(text[:400], cuts)) == everything(text[:400])


@settings(max_examples=60, deadline=None)
@given(st.lists(WHOLE | st.sampled_from([b"the text", b"id"]), max_size=5), CUTS)
def test_lines_of_secrets_are_masked_whole(lines: list[bytes], cuts: list[int]) -> None:
    """The same for texts with a find in nearly every line."""
    text = b"\n, \n".join(lines)
    assert masked_bytes(FINDER, pieces(text, cuts)) == everything(text)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.sampled_from(SPELLINGS) | st.binary(max_size=3) | st.sampled_from([b"aba", b"vRk"]), max_size=6), CUTS
)
def test_known_values_are_masked_exactly(parts: list[bytes], cuts: list[int]) -> None:
    """Every spelling is covered, also if spellings overlap or lie in each other, and not one byte beside them."""
    text = b"".join(parts)
    assert masked_bytes(KNOWN_ONLY, pieces(text, cuts)) == known_bytes(text)


@settings(max_examples=150, deadline=None)
@given(SOUP, st.integers(0, 400))
def test_what_was_released_is_never_taken_back(text: bytes, cut: int) -> None:
    """Nothing goes out that more text could still turn into a find: what was released begins every result."""
    head, tail = text[:cut], text[cut:]
    released = TextStream(FINDER, Mint(KEY)).feed(head)
    assert masked(FINDER, [head + tail]).startswith(released)
    assert masked(FINDER, [head + b" "]).startswith(released)
    assert masked(FINDER, [head]).startswith(released)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"plain", b"words", b"of", b"ordinary", b"prose"]), min_size=1, max_size=20))
def test_ordinary_text_is_released_at_once(words: list[bytes]) -> None:
    """Only what may still become a find is held back: a full stop and a blank after words are no beginning of any."""
    text = b" ".join(words) + b".\n"
    tracker = Tracker(FINDER, Mint(KEY))
    assert tracker.feed(text) == []
    assert tracker.final == tracker.fed == len(text)


@settings(max_examples=150, deadline=None)
@given(SOUP)
def test_tokens_are_all_that_is_new(text: bytes) -> None:
    """Without its tokens, masked text is the text without its masked bytes."""
    kept = bytes(byte for at, byte in enumerate(text) if at not in masked_bytes(FINDER, [text]))
    assert TOKEN.sub(b"", masked(FINDER, [text])) == TOKEN.sub(b"", kept)

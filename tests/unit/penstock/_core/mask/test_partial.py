"""From a pattern to the pattern of everything that could still become a match."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.mask.detectors import Detector, all_detectors
from penstock._core.mask.partial import EXACT_REPEATS, prefixes, width
from penstock._core.mask.patterns import compiled

PATTERNS = [
    r"\bAB[0-9]{3}\b",
    r"(?i)key[ ]{0,2}[:=]{1,2}(?P<secret>[a-f]{4,9}={0,2})",
    r"x(?:ab|a|cde(?:f|g){2})y?z",
    r"\B\+[1-9](?:[ .-]?\(?[0-9]{1,4}\)?){2,6}\b|\([2-9]{2}\)-[0-9]{2}",
    r"[^a-y]{2}-(?:a(?:b(?:c)?)?){1,3}!",
]


def is_prefix(pattern: str, text: bytes) -> bool:
    """Returns whether more text could make all of this text a match, or it is one."""
    return compiled(f"(?:{prefixes(pattern)})\\z").search(text, 0).start() == 0


@pytest.mark.parametrize(
    ("pattern", "expected"), [("a{2,5}", 5), ("(?:ab|cde)x?", 4), (r"\bA\b", 1), ("(?i)ab", 2), ("", 0)]
)
def test_the_width_is_that_of_the_longest_match(pattern: str, expected: int) -> None:
    """In bytes, whatever branch or repeat it comes from."""
    assert width(pattern) == expected


@pytest.mark.parametrize("pattern", ["a*", "a+b", "(?:ab){2,}", "a{70000}"])
def test_a_pattern_without_a_bound_is_refused(pattern: str) -> None:
    """What has no longest match could be held back for ever."""
    with pytest.raises(ValueError, match="no longest match"):
        width(pattern)


@pytest.mark.parametrize(
    "pattern", [r"a{1,3}?b", r"^ab", r"ab$", r"\d{2}", r"(a)\1", r"a(?=b)", r"a(?!b)", r"a.b", "é", "[é]", r"\Aab"]
)
def test_syntax_that_engines_read_in_two_ways_is_refused(pattern: str) -> None:
    """Lazy repeats, anchors, classes by letter, references, looks ahead, dots and what is not ASCII."""
    with pytest.raises(ValueError, match=r"not part of|ASCII"):
        prefixes(pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_prefix_of_every_match_is_known(pattern: str, data: st.DataObject) -> None:
    """Each beginning of a match, the empty one and the whole included."""
    drawn: bytes = data.draw(
        st.from_regex(re.compile(pattern.encode()), fullmatch=False).filter(lambda it: len(it) < 60)
    )
    match = re.search(pattern.encode(), drawn)
    assert match is not None
    if match.start() and pattern.startswith(r"\B"):
        return  # what stands before decides
    text = match[0]
    assert all(is_prefix(pattern, text[:end]) for end in range(len(text) + 1))


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.id)
def test_every_prefix_of_every_example_is_known(detector: Detector) -> None:
    """With the text before it as context, each example is live from its first byte to its last."""
    pattern = detector.pattern
    for example in detector.examples:
        text = b" " + example.encode()
        low, high = compiled(pattern).search(text).span()
        live = compiled(f"(?:{prefixes(pattern)})\\z")
        assert all(live.search(text[:end], 1).start() <= low for end in range(low + 1, high + 1))


def test_what_can_become_no_match_is_not_held() -> None:
    """The superset is close: a wrong byte, or a count that is kept, ends a beginning."""
    assert not is_prefix(r"\bAB[0-9]{3}\b", b"AX")
    assert not is_prefix(r"\bAB[0-9]{3}\b", b"AB12345")
    assert not is_prefix("a{2,4}b", b"aaaaaa")
    assert is_prefix(f"a{{2,{EXACT_REPEATS + 1}}}b", b"a" * 20)
    assert not is_prefix("key=[a-f]{8,9}", b"key=g")


def test_case_is_ignored_only_where_the_pattern_says_so() -> None:
    """The flag goes with its pattern, and does not leak to the next one."""
    both = f"(?:{prefixes('(?i)ab')}|{prefixes('cd')})\\z"
    assert compiled(both).search(b"A").start() == 0
    assert compiled(both).search(b"C").start() == 1

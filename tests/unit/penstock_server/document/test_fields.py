"""Fields: every reader returns what it promises or notes a problem with path and line."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from penstock_server.document._fields import MAX_PROBLEMS, Field, Problems
from penstock_server.document._yaml import compose


def field(text: str) -> Field:
    """Returns the root of a document as the field "f"."""
    return Field("f", compose(text), Problems())


def found(one: Field) -> list[str]:
    """Returns what was noted."""
    return [f"{problem.where}: {problem.what}" for problem in one.problems.by_line()]


@pytest.mark.parametrize(
    ("text", "read", "value"),
    [
        ("hello", Field.text, "hello"),
        ("'1'", Field.text, "1"),
        ("a", lambda f: f.choice(("a", "b")), "a"),
        ("3", lambda f: f.integer(1, 3), 3),
        ("0", lambda f: f.integer(0, 3), 0),
        ("250ms", lambda f: f.duration(0, 10_000), 250),
        ("10s", lambda f: f.duration(0, 10_000), 10_000),
        ("2h", lambda f: f.duration(0, 10**9), 7_200_000),
        ("1d", lambda f: f.duration(0, 10**9), 86_400_000),
        ("abc", lambda f: f.matching(re.compile("[a-c]+"), "abc"), "abc"),
        ("[a, b]", lambda f: [text for _, text in f.texts()], ["a", "b"]),
        ("{a: 1, b: 2}", lambda f: sorted(f.mapping(("a", "b", "c")) or {}), ["a", "b"]),
    ],
)
def test_a_value_that_fits_is_returned(text: str, read: Callable[[Field], Any], value: Any) -> None:
    """Nothing is noted for what fits."""
    one = field(text)
    assert read(one) == value
    assert found(one) == []


@pytest.mark.parametrize(
    ("text", "read", "problem"),
    [
        ("yes", Field.text, 'f (line 1): must be text; write "yes" in quotes'),
        ("1.5", Field.text, 'f (line 1): must be text; write "1.5" in quotes'),
        ("''", Field.text, "f (line 1): may not be empty"),
        ("[a]", Field.text, "f (line 1): must be text, not a list"),
        ("c", lambda f: f.choice(("a", "b")), 'f (line 1): must be one of a, b, not "c"'),
        ("4", lambda f: f.integer(1, 3), "f (line 1): must be a whole number from 1 to 3"),
        ("'2'", lambda f: f.integer(1, 3), "f (line 1): must be a whole number from 1 to 3"),
        ("0x2", lambda f: f.integer(1, 3), "f (line 1): must be a whole number from 1 to 3"),
        ("1_0", lambda f: f.integer(1, 30), "f (line 1): must be a whole number from 1 to 30"),
        ("1:10", lambda f: f.integer(1, 300), "f (line 1): must be a whole number from 1 to 300"),
        ("[1]", lambda f: f.integer(1, 3), "f (line 1): must be a whole number from 1 to 3"),
        ("10", lambda f: f.duration(0, 9), "f (line 1): must be a duration such as 60s, 10m or 1h"),
        ("1h30m", lambda f: f.duration(0, 9), "f (line 1): must be a duration such as 60s, 10m or 1h"),
        ("1h", lambda f: f.duration(500, 60_000), "f (line 1): must be from 500ms to 1m"),
        ("abd", lambda f: f.matching(re.compile("[a-c]+"), "abc"), 'f (line 1): must be abc, not "abd"'),
        ("[]", Field.items, "f (line 1): may not be an empty list; leave the key out"),
        ("{}", Field.items, "f (line 1): must be a list, not a mapping"),
        ("[a, a]", Field.texts, 'f[1] (line 1): "a" is listed twice'),
        ("a:\nb: 1\na: 2", lambda f: f.mapping(("a", "b")), "f.a (line 3): the key occurs twice, first in line 1"),
        ("{mont: 1}", lambda f: f.mapping(("mount",)), 'f.mont (line 1): unknown key "mont"; did you mean "mount"?'),
        ("{zz: 1}", lambda f: f.mapping(("a", "b")), 'f.zz (line 1): unknown key "zz"; known are a, b'),
        ("{zz: 1}", lambda f: f.mapping(("a",), {"zz": "is later"}), "f.zz (line 1): is later"),
        ("1: 2", lambda f: f.mapping(("a",)), "f (line 1): a key must be text; merge keys are not allowed"),
        ("? [a]\n: 2", lambda f: f.mapping(("a",)), "f (line 1): a key must be text; merge keys are not allowed"),
        ("<<: {a: 1}", lambda f: f.mapping(("a",)), "f (line 1): a key must be text; merge keys are not allowed"),
        ("[a]", lambda f: f.mapping(("a",)), "f (line 1): must be a mapping of keys, not a list"),
        ("null", lambda f: f.mapping(("a",)), "f (line 1): must be a mapping of keys, not nothing"),
    ],
)
def test_a_value_that_does_not_fit_is_noted(text: str, read: Callable[[Field], Any], problem: str) -> None:
    """YAML's own conversions are never trusted: what looks like another type is refused."""
    one = field(text)
    assert not read(one) or "twice" in problem
    assert found(one) == [problem]


def test_long_and_unprintable_text_is_cut_in_complaints() -> None:
    """A complaint stays one readable line whatever the document holds."""
    one = field('"' + "x" * 500 + '\\n\\e"')
    one.choice(("a",))
    assert found(one) == [f'f (line 1): must be one of a, not "{"x" * 59}…"']
    other = field('"a\\nb"')
    other.choice(("a",))
    assert found(other) == ['f (line 1): must be one of a, not "a\N{REPLACEMENT CHARACTER}b"']


def test_no_more_problems_are_listed_than_a_person_reads() -> None:
    """The list is bounded and in the order of lines."""
    problems = Problems()
    for line in reversed(range(MAX_PROBLEMS * 2)):
        problems.add(line, f"line {line}", "x")
    listed = problems.by_line()
    assert len(listed) == MAX_PROBLEMS
    assert listed[0].where == "line 0"

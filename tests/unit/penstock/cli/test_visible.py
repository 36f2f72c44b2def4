"""Text that cannot lie on a terminal."""

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.visible import json_lines, visible

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def test_what_hides_reorders_or_commands_is_written_out() -> None:
    """Escapes, line breaks, bidirectional controls, invisible letters and lone surrogates show their code point."""
    text = "a\x1b[2Kb\nc\u202ed\u200be\u2028f\xa0g\udc80h\u3164i"
    assert visible(text) == ("a<U+001B>[2Kb<U+000A>c<U+202E>d<U+200B>e<U+2028>f<U+00A0>g<U+DC80>h<U+3164>i")


def test_ordinary_text_of_any_language_stays() -> None:
    """Letters, marks and punctuation are not touched."""
    for text in ["plain ASCII 100%", "Grüße, José", "日本語", "שלום", "emoji 🎉"]:
        assert visible(text) == text


@given(st.text())
def test_only_printable_characters_are_left(text: str) -> None:
    """Whatever the agent sends, the terminal gets printable characters."""
    assert all(character.isprintable() for character in visible(text))


@given(JSON, st.sampled_from([None, 1, 3]))
def test_indented_json_has_the_same_tokens(value: object, indent: int | None) -> None:
    """Only white space between tokens differs, however the sender wrote it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    lines = json_lines(text)
    assert lines is not None
    assert json.loads("\n".join(lines)) == value


def test_repeated_keys_and_odd_numbers_stay_as_they_were() -> None:
    """A second key is never swallowed and no number is rounded."""
    lines = json_lines('{"amount":1,"amount":900.0000000000000000001,"x":[],"y":[1,{}]}')
    assert lines == [
        "{",
        '  "amount": 1,',
        '  "amount": 900.0000000000000000001,',
        '  "x": [],',
        '  "y": [',
        "    1,",
        "    {}",
        "  ]",
        "}",
    ]


def test_what_is_no_json_or_costs_too_much_is_left_alone() -> None:
    """Broken, huge and deeply nested text is not indented."""
    for text in ["", "{", "amount=1", "[" * 100 + "]" * 100, "[" * 100_000 + "]" * 100_000, "1" * 2_000_000]:
        assert json_lines(text) is None


def test_printable_ascii_is_returned_unchanged() -> None:
    """The common case costs nothing."""
    text = string.ascii_letters + string.punctuation
    assert visible(text) is text

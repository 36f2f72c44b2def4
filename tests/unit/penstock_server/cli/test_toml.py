"""The little TOML that dev writes."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from penstock_server.cli.toml import toml

TEXT = st.text(st.characters(codec="utf-8"))


def test_entries_are_lines() -> None:
    """Strings, truth values and lists of strings."""
    assert toml({"a": "x", "b": True, "c": False, "d": ["1", "2"]}) == 'a = "x"\nb = true\nc = false\nd = ["1", "2"]\n'


@given(text=TEXT, items=st.lists(TEXT))
def test_what_is_written_is_read(text: str, items: list[str]) -> None:
    """Every path that a file system allows survives, quotes, line ends and control characters included."""
    assert tomllib.loads(toml({"text": text, "items": items})) == {"text": text, "items": items}

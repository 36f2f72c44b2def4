"""What people and programs read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.v1 import audit_pb2, policy_pb2
from penstock_server.cli.text import json_line, json_value, printable, table, utc


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("gr\u00fc\u00df Gott", "gr\u00fc\u00df Gott"),
        ("a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        ("user\u202ecod.exe", "user\\u202ecod.exe"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    """Nothing that moves a cursor, changes direction or breaks the line comes through."""
    assert printable(text) == shown


@given(st.text(st.characters(codec="utf-8")))
def test_printable_text_is_one_line(text: str) -> None:
    """Whatever an agent put into a path, the row stays a row."""
    assert len(printable(text).splitlines()) <= 1
    assert "\x1b" not in printable(text)


@pytest.mark.parametrize(
    ("at_ms", "shown"),
    [(0, "-"), (-5, "-"), (1, "1970-01-01 00:00:00.001Z"), (1785500000123, "2026-07-31 12:13:20.123Z"), (10**18, "-")],
)
def test_times_are_utc(at_ms: int, shown: str) -> None:
    """Milliseconds are kept; what no calendar holds is a dash."""
    assert utc(at_ms) == shown


def test_columns_are_aligned() -> None:
    """Cells line up, empty ones are dashes, no line ends in spaces."""
    lines = table(["a", "long"], [["wide one", ""], ["x", "y"]]).splitlines()
    assert lines == ["A         LONG", "wide one  -", "x         y"]


def test_a_table_without_rows_is_its_head() -> None:
    """An empty list still says what it would hold."""
    assert table(["a", "b"], []) == "A  B"


def test_messages_become_json() -> None:
    """Bytes are hex, numbers are numbers, absent messages null, lists lists."""
    revision = policy_pb2.Revision(number=2**60, author="a", digest=b"\x01\xff")
    value = json_value(policy_pb2.ShowPolicyResponse(revision=revision, document="d\u00e9"))
    assert value["revision"]["digest"] == "01ff"
    assert json.loads(json_line(value))["revision"]["number"] == 2**60
    assert json_line(value).isascii()
    assert json_value(audit_pb2.AuditEntry())["actor"] is None
    assert json_value(audit_pb2.AuditEntry(rules=["r"]))["rules"] == ["r"]

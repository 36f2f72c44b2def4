"""Finds in percent-encoded text, told in bytes of the raw text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.mask.finder import Finder
from penstock._core.mask.percent import percent_finds
from penstock._core.verdict import KnownValue

FINDER = Finder((KnownValue("db", b"q8Wz2Tt9kLm4"),), frozenset({"email", "private-key"}))
ADDRESS = b"ada.byron" + b"@example.org"


def found(raw: bytes, *, plus: bool = False) -> list[bytes]:
    """Returns the raw bytes of each find."""
    return sorted({raw[find.start : find.end] for find in percent_finds(FINDER, raw, plus=plus)}, key=len)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.booleans(), min_size=21, max_size=21),
    st.booleans(),
    st.sampled_from([b"", b"%20", b"%", b"%4", b"%zz", b"+"]),
)
def test_an_encoded_secret_is_found_whichever_bytes_are_encoded(which: list[bool], upper: bool, before: bytes) -> None:
    """The find covers the escapes of the secret, in either case of their digits, and none beside it."""
    form = b"%%%02X" if upper else b"%%%02x"
    spelled = b"".join(form % byte if escape else bytes([byte]) for byte, escape in zip(ADDRESS, which, strict=True))
    raw = b"q=" + before + b"%3D" + spelled + b"%26next"
    assert found(raw)[-1] == spelled


def test_text_without_escapes_is_not_looked_at() -> None:
    """What is as it stands is found by a look at the raw text."""
    assert percent_finds(FINDER, b"mail=" + ADDRESS, plus=False) == []
    assert percent_finds(FINDER, b"mail=+" + ADDRESS, plus=False) == []


def test_a_plus_is_a_space_only_where_it_is_said_to_be() -> None:
    """In a form it is a blank; in a path it is a plus, as some addresses of people have it."""
    raw = b"p=some+" + ADDRESS + b"%20"
    assert found(raw, plus=True)[-1] == ADDRESS
    assert found(raw, plus=False)[-1] == b"some+" + ADDRESS


@pytest.mark.parametrize("raw", [b"%", b"%%", b"%4", b"%zz", b"%%%", b"%00%ff", b"%\xff", b"+%+", b"%2", b"%25%32%30"])
def test_broken_escapes_are_no_error(raw: bytes) -> None:
    """They stand for themselves."""
    assert percent_finds(FINDER, raw, plus=True) == []
    assert found(raw + b"%20" + ADDRESS)[-1] == ADDRESS


def test_a_find_has_the_value_as_it_is_decoded() -> None:
    """So that the same secret has the same token however it is encoded."""
    plain, encoded = b"%20" + ADDRESS, b"%20" + ADDRESS.replace(b"@", b"%40")
    assert {percent_finds(FINDER, raw, plus=False)[0].value for raw in (plain, encoded)} == {ADDRESS}


def test_an_endless_secret_reaches_to_the_end_of_the_piece() -> None:
    """It is bounded by the piece: nothing waits for an end that would come encoded."""
    raw = (b"-----BEGIN " + b"PRIVATE KEY-----").replace(b" ", b"+") + b"%0AMIIEow"
    (find,) = percent_finds(FINDER, raw, plus=True)
    assert (find.start, find.end, find.until) == (0, len(raw), None)

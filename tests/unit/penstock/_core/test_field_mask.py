"""Masking of header values: every value by itself, and a memory that never takes one for another."""

from typing import Any

import pytest

from penstock._core.field_mask import MEMO_BYTES, MEMO_TEXTS, FieldMask
from penstock._core.mask import Masker
from penstock._core.verdict import MaskSpec
from unit.penstock._core.fake_sides import KEY, KNOWN

MAIL = b"ada@example.com"


def a_mask(*named: str, known: tuple[Any, ...] = (KNOWN,), detectors: tuple[str, ...] = ("email",)) -> FieldMask:
    """Returns a mask of a known value, mail addresses, and the named headers."""
    spec = MaskSpec(frozenset(detectors), frozenset(), frozenset(named))
    return FieldMask(Masker(known, spec), spec)


def test_values_are_masked_where_they_hold_something() -> None:
    """Names, order and all other text stay; what was masked is counted on top of what was."""
    counts = {"email": 4}
    fields = (("x-a", b"plain"), ("x-b", b"to " + MAIL + b", now"), ("x-b", KNOWN.value), ("x-c", b""))
    masked = a_mask().mask(fields, KEY, counts)
    assert [name for name, _ in masked] == ["x-a", "x-b", "x-b", "x-c"]
    values = [value for _, value in masked]
    assert (values[0], values[3]) == (b"plain", b"")
    assert values[1].startswith(b"to \xc2\xabemail:") and values[1].endswith(b"\xc2\xbb, now")
    assert values[2].startswith(b"\xc2\xabbilling-key:") and KNOWN.value not in values[2]
    assert counts == {"email": 5, "billing-key": 1}


def test_a_field_whose_name_holds_a_secret_is_dropped() -> None:
    """A name cannot be replaced."""
    name = KNOWN.value.decode()
    assert a_mask().mask((("x-a", b"1"), (name, b"2")), KEY, {}) == (("x-a", b"1"),)


def test_clean_fields_are_the_same_fields() -> None:
    """Nothing is counted, the first time and ever after."""
    mask, counts = a_mask(), dict[str, int]()
    fields = (("x-a", b"plain"), ("x-b", b"text"))
    for _ in range(3):
        assert mask.mask(fields, KEY, counts) is fields
    assert counts == {}


def test_a_mask_of_nothing_touches_nothing() -> None:
    """Without known values and rules, bytes pass as they are."""
    mask = a_mask(known=(), detectors=())
    fields = (("x-a", KNOWN.value), ("x-b", b"\xff\x00"))
    assert mask.mask(fields, KEY, {}) is fields


def test_a_named_header_is_masked_whole() -> None:
    """Whatever it holds, also where all that it holds was found clean elsewhere before."""
    mask, counts = a_mask("x-debug"), dict[str, int]()
    assert mask.mask((("x-other", b"anything"),), KEY, counts) == (("x-other", b"anything"),)
    masked = mask.mask((("x-debug", b"anything"), ("x-other", b"anything")), KEY, counts)
    assert masked[0][1] != b"anything" and masked[1] == ("x-other", b"anything")
    assert sum(counts.values()) == 1


def test_values_do_not_run_into_each_other() -> None:
    """A secret that two values make together is none, and the end of one does not hide the start of the next."""
    half = len(KNOWN.value) // 2
    fields = (("x-a", KNOWN.value[:half]), ("x-b", KNOWN.value[half:]))
    assert a_mask().mask(fields, KEY, {}) == fields
    counts: dict[str, int] = {}
    a_mask().mask((("x-a", b"end"), ("x-b", MAIL), ("x-c", MAIL)), KEY, counts)
    assert counts == {"email": 2}


def test_the_same_values_cut_in_another_way_are_looked_at_again() -> None:
    """What is remembered as clean parts the values; no other list of values can look the same and be less clean."""
    mask = a_mask()
    local, _, domain = MAIL.partition(b"@")
    assert mask.mask((("x-a", local), ("x-b", domain)), KEY, {})
    counts: dict[str, int] = {}
    mask.mask((("x-a", MAIL),), KEY, counts)
    assert counts == {"email": 1}


@pytest.mark.parametrize("size", [MEMO_BYTES - 1, MEMO_BYTES + 1])
def test_secrets_after_much_clean_text_are_found(size: int) -> None:
    """Whether or not the clean text was remembered."""
    mask = a_mask()
    clean = (("x-a", b"-" * size),)
    for _ in range(2):
        assert mask.mask(clean, KEY, {}) is clean
    counts: dict[str, int] = {}
    mask.mask((*clean, ("x-b", MAIL)), KEY, counts)
    assert counts == {"email": 1}


def test_the_memory_is_bounded() -> None:
    """More different heads than it holds change nothing but its speed."""
    mask = a_mask()
    for index in range(2 * MEMO_TEXTS + 10):
        fields = (("x-id", b"%d" % index),)
        assert mask.mask(fields, KEY, {}) is fields
    counts: dict[str, int] = {}
    mask.mask((("x-id", KNOWN.value),), KEY, counts)
    assert counts == {"billing-key": 1}

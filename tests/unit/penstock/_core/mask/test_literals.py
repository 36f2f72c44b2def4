"""The search for known values: every place, every overlap, and where one could be about to begin."""

import pytest

from penstock._core.mask.find import Find
from penstock._core.mask.literals import CUT_OFF, HEAD, Literals, literals
from penstock._core.verdict import KnownValue


def known(*values: bytes) -> tuple[KnownValue, ...]:
    """Returns values, named by their place."""
    return tuple(KnownValue(f"value-{at}", value) for at, value in enumerate(values))


def found(text: bytes, *values: bytes, begin: int = 0) -> set[tuple[int, int, str]]:
    """Returns what is found, and by which name."""
    finds: list[Find] = []
    assert Literals(known(*values)).look(text, begin, finds, last=True) == len(text)
    assert all(find.known and find.low == find.start and find.high == find.end for find in finds)
    return {(find.start, find.end, find.kind) for find in finds}


def live(text: bytes, *values: bytes, begin: int = 0) -> int:
    """Returns from where on more text could change what is found."""
    return Literals(known(*values)).look(text, begin, [], last=False)


def test_every_place_is_found_also_where_places_overlap() -> None:
    """A value that overlaps itself is found at each of its begins."""
    assert found(b"abcabcabcabcab", b"abcabcab") == {(0, 8, "value-0"), (3, 11, "value-0"), (6, 14, "value-0")}


def test_a_value_in_another_is_found_as_well() -> None:
    """Both are told; which one names the mask is decided later."""
    assert found(b"<outer-inner-outer>", b"outer-inner-outer", b"er-inner-") == {(1, 18, "value-0"), (4, 13, "value-1")}


def test_values_that_begin_alike_are_told_apart_by_all_of_their_bytes() -> None:
    """Only heads are searched for: what follows is compared, and a head alone is no find."""
    head = b"h" + b"ead-of-sixteen-b"[: HEAD - 1]
    values = head, head + b"-one", head + b"-two"
    assert found(head + b"-two", *values) == {(0, HEAD, "value-0"), (0, HEAD + 4, "value-2")}
    assert found(head + b"-three", *values[1:]) == set()


def test_of_equal_values_the_first_gives_the_name() -> None:
    """One value has one name, or its token would change with the order of finds."""
    assert found(b"the same value", b"the same value", b"the same value") == {(0, 14, "value-0")}


def test_nothing_before_the_begin_is_found() -> None:
    """What was released before is context only."""
    assert found(b"a-secret a-secret", b"a-secret", begin=1) == {(9, 17, "value-0")}


@pytest.mark.parametrize("length", [8, HEAD - 1, HEAD, HEAD + 1, 40])
def test_every_beginning_at_the_end_of_the_text_is_live(length: int) -> None:
    """However much of a value has come, it is held back, and nothing before it is."""
    value = bytes(range(65, 65 + length))
    for cut in range(1, length):
        assert live(b"text " + value[:cut], value) == 5
    assert live(b"text " + value, value) > 5
    assert live(b"text " + value[:-1] + b"!", value) == len(b"text " + value)
    assert live(b"text ", value) == 5


def test_the_earliest_of_several_beginnings_is_live() -> None:
    """A value that could begin in another's beginning does not hide that."""
    assert live(b"-abaabaab", b"abaabaabx", b"baab----") == 1
    assert live(b"-abaabaab-", b"abaabaabx", b"ab------") == 7
    assert live(b"x" + b"ab" * 15, b"ab" * 10 + b"cc") == 11


def test_a_beginning_before_the_begin_is_not_live() -> None:
    """What was released can begin nothing any more."""
    assert live(b"secret-o", b"secret-of-eight", begin=1) == 8


def test_short_and_common_values_are_told_apart() -> None:
    """They are for whole JSON strings and numbers, stripped; nothing is searched for."""
    only_short = Literals(known(b"1234567", b" short\n", b"", b"   "))
    assert only_short.exact == {b"1234567": "value-0", b"short": "value-1"}
    assert not only_short.active
    assert only_short.occurring(b"1234567 short") == []
    assert only_short.look(b"1234567", 0, [], last=False) == 7


def test_values_that_could_span_several_strings_are_told() -> None:
    """Known from the bytes that give JSON its structure."""
    assert Literals(known(b'left","right')).may_span
    assert not Literals(known(b"plain-value-1")).may_span


def test_the_same_values_are_compiled_once() -> None:
    """A list and a tuple of equal values share one object; other values do not."""
    assert literals(list(known(b"one-value"))) is literals(known(b"one-value"))
    assert literals(known(b"one-value")) is not literals(known(b"two-values"))


def test_nothing_shows_a_value() -> None:
    """repr() of the object that holds all values does not hold any."""
    secret = b"hidden" + b"-value"
    assert secret.decode() not in repr(literals(known(secret))) + repr(known(secret))


@pytest.mark.parametrize("value", [b"a-secret", b"a-secret-of-more-than-a-head", b"abcabcabcabcabcabc"])
def test_the_begin_of_a_value_in_which_a_text_ends_is_told_from_eight_bytes_on(value: bytes) -> None:
    """The longest; a whole value is found otherwise."""
    all_of_it = Literals(known(value))
    for length in range(len(value)):
        text = b"text " + value[:length]
        find = all_of_it.cut_off(text, 0)
        assert (find is not None) == (length >= CUT_OFF)
        assert find is None or (find.start, find.end, find.kind, find.value) == (5, len(text), "value-0", value)
        assert all_of_it.cut_off(text + b".", 0) is None
        if CUT_OFF <= length < HEAD:
            assert all_of_it.ends_in(text)
        assert not all_of_it.ends_in(text + b".")
    assert Literals(()).cut_off(b"text", 0) is None
    assert not Literals(()).ends_in(b"")

"""How finds are ordered, and that they do not show what they found."""

from random import Random

from penstock._core.mask.find import OPEN_LIMIT, Find, order

SECRET = b"hidden" + b"-value"


def find(start: int, end: int, *, known: bool = False, rank: int = 0) -> Find:
    """Returns a find of these bytes."""
    return Find(start, end, start, end, "kind", SECRET, known, rank)


def test_finds_are_told_from_left_to_right_and_known_values_first() -> None:
    """By begin; then known before guessed, the longest known first, then as the detectors stand in their file."""
    right = [
        find(0, 9, known=True, rank=5),
        find(0, 4, known=True, rank=1),
        find(0, 20, rank=0),
        find(0, 30, rank=1),
        find(3, 5, known=True),
    ]
    shuffled = list(right)
    Random(3).shuffle(shuffled)
    assert sorted(shuffled, key=order) == right


def test_beyond_the_limit_length_does_not_matter() -> None:
    """What lies beyond the bytes that are held back cannot decide the name, or a late piece would change it."""
    assert order(find(0, OPEN_LIMIT + 1, known=True)) == order(find(0, OPEN_LIMIT + 999, known=True))


def test_a_find_does_not_show_its_value() -> None:
    """Neither repr() nor str() holds the secret."""
    assert SECRET.decode() not in repr(find(0, 12)) + str(find(0, 12)) + f"{find(0, 12)}"

"""Secrets without a longest length that have begun and not ended yet."""

import pytest

from penstock._core.mask.endless import ENDLESS, Endless
from penstock._core.mask.find import Find, Until
from penstock._core.mask.patterns import compiled

UNTIL = Until(compiled("<end>"), 5)
SHORT = Until(compiled("[ .]"), 1, keep_end=True)


def opened(low: int, opening: bytes = b"<begin>", until: Until = UNTIL, kind: str = "key") -> Find:
    """Returns the find that opens a secret."""
    high = low + len(opening)
    return Find(low, high, low, high, kind, opening, until=until, opened=high)


def test_an_end_closes_what_began_before_it() -> None:
    """The end belongs to the secret unless its kind says that it does not."""
    endless = Endless()
    endless.add(opened(2), 9)
    assert endless
    assert endless.follow(b"  <begin>text<e", 0, b"text<e") == []
    (find,) = endless.follow(b"<end> more", 13, b"nd> more")
    assert (find.start, find.end, find.close, find.closed, find.value) == (2, 18, 13, True, b"<begin>text<end>")
    assert not endless
    endless.add(opened(0, b"eyJ", SHORT), 3)
    (find,) = endless.follow(b"eyJab c", 0, b"ab c")
    assert (find.end, find.value) == (5, b"eyJab")


@pytest.mark.parametrize("cut", range(8, 40))
def test_an_end_that_is_cut_is_found(cut: int) -> None:
    """What is searched is no further than an end that has not come whole could begin."""
    text = b"<begin>" + b"x" * 20 + b"<end> and on, and on"
    endless = Endless()
    endless.add(opened(0), 7)
    closed = endless.follow(text[:cut], 0, text[7:cut])
    if not closed:
        begin = endless.searched(cut)
        assert begin <= 27
        closed = endless.follow(text[begin:], begin, text[cut:])
    assert [find.end for find in closed] == [32]


def test_of_many_that_end_together_one_is_kept() -> None:
    """The first: it covers the others, which mask nothing of their own any more."""
    endless = Endless()
    finds = [opened(at) for at in range(0, 70, 7)]
    for find in finds:
        endless.add(find, 80)
    assert [find.end for find in finds] == [ENDLESS] + [find.start for find in finds[1:]]
    assert endless.covers(1)
    assert not endless.covers(0)


def test_one_that_began_in_the_end_of_another_goes_on() -> None:
    """Its own end is behind its own begin."""
    endless = Endless()
    until = Until(compiled("--end--"), 7)
    first, second = opened(0, b"--begin--", until), opened(12, b"--begin--", until)
    endless.add(first, 21)
    endless.add(second, 21)
    (find,) = endless.follow(b"--begin--xxx--begin--end--", 0, b"end--")
    assert (find.start, find.end) == (0, 26)
    (find,) = endless.follow(b"--end--", 26, b"--end--")
    assert (find.start, find.end) == (12, 33)


def test_kinds_end_by_themselves_and_all_at_the_end_of_the_text() -> None:
    """What is never closed goes on to the end."""
    endless = Endless()
    endless.add(opened(0), 7)
    endless.add(opened(8, b"eyJ", SHORT, "jwt"), 11)
    assert endless.searched(11) == 7
    (find,) = endless.follow(b"<begin> eyJ on", 0, b" on")
    assert find.kind == "jwt"
    rest = opened(14)
    endless.add(rest, 21)
    endless.end(30)
    assert rest.end == 30

"""Via: who is found in it, and where a circle ends."""

import pytest

from penstock._core.refusal import RefusedError
from penstock._core.via import MAX_PASSES, VIA, end_circles


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        (b"", 0),
        (b"1.1 penstock", 1),
        (b"HTTP/1.1 Penstock (a comment), 1.0 fred ,1.1\tpenstock", 2),
        (b"1.1 penstock.example, 1.1 my-penstock, 1.1 other (penstock), penstock", 0),
        (b",,1.1 penstock,,", 1),
    ],
)
def test_shims_are_counted_by_their_pseudonym(value: bytes, passed: int) -> None:
    """Other recipients, comments and what is no member of the list are not."""
    assert end_circles(value, 0) == passed
    assert end_circles(value, 1) == 1 + passed


def test_a_chain_longer_than_anybody_builds_is_a_circle() -> None:
    """However the members are spread over fields; one less is a chain."""
    member = VIA.partition(b": ")[2].strip()
    assert end_circles(b",".join([member] * MAX_PASSES), 0) == MAX_PASSES
    with pytest.raises(RefusedError) as caught:
        end_circles(member, MAX_PASSES)
    assert (caught.value.refusal.status, caught.value.refusal.code) == (508, "loop_detected")

"""Waits between attempts."""

import random

from penstock._client.backoff import FIRST_S, LONGEST_S, Backoff


def test_waits_double_to_the_longest_and_are_jittered_down() -> None:
    """Each wait lies between half of its bound and its bound."""
    backoff = Backoff(random.Random(1))
    bound = FIRST_S
    for _ in range(12):
        assert bound / 2 <= backoff.wait_s() <= bound
        bound = min(bound * 2, LONGEST_S)
    assert bound == LONGEST_S


def test_success_starts_again_at_the_first() -> None:
    """After a reset the wait is short."""
    backoff = Backoff(random.Random(1))
    for _ in range(8):
        backoff.wait_s()
    backoff.reset()
    assert backoff.wait_s() <= FIRST_S


def test_two_shims_wait_differently() -> None:
    """A fleet does not come back in step."""
    assert Backoff().wait_s() != Backoff().wait_s()

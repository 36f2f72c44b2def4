"""The spool: how many bytes of request bodies wait in memory, over all exchanges."""

from penstock._core.environment import Environment, Spool
from unit.penstock._core.fake_sides import KEY, Stage


def test_the_spool_counts_up_to_its_limit() -> None:
    """What does not fit is not counted, and what was given back fits again."""
    spool = Spool(10)
    assert spool.take(4) and spool.take(6)
    assert not spool.take(1)
    assert spool.used == 10
    assert spool.take(0)
    spool.give(6)
    assert not spool.take(7)
    assert spool.take(6)
    assert spool.used == 10


def test_an_environment_shows_no_key() -> None:
    """The key of mask tokens is not in its representation."""
    env: Environment = Stage().env
    assert env.key == KEY and KEY.decode() not in repr(env)

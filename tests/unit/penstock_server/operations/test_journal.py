"""Tests of the journal: the intent before, the outcome after."""

import pytest

from penstock_server.domain.errors import Code, PenstockError
from unit.penstock_server.operations.world import ADMIN, World

pytestmark = pytest.mark.anyio


async def test_the_intent_is_logged_before_the_deed_and_the_outcome_after(world: World) -> None:
    """Both name each other; what was noted meanwhile is in the outcome."""
    async with world.journal.doing("a.do", "a.done", ADMIN, upstream="billing", details={"x": 1}) as intent:
        assert world.log.kinds() == ["a.do"]
        world.clock.now_ms += 5
        intent.note(y=2)
    started, done = world.log.events
    assert (done.kind, done.actor, done.upstream) == ("a.done", ADMIN, "billing")
    assert done.details == {"x": 1, "y": 2, "intent": started.id}
    assert started.details == {"x": 1}
    assert done.at_ms == started.at_ms + 5
    assert done.id != started.id


async def test_what_is_not_logged_is_not_done(world: World) -> None:
    """The body does not run."""
    world.log.failing = 1
    ran = False
    with pytest.raises(PenstockError):
        async with world.journal.doing("a.do", "a.done", ADMIN):
            ran = True
    assert not ran


async def test_a_failure_is_logged_by_its_name_and_passed_on(world: World) -> None:
    """A refusal by its reason, anything else as INTERNAL, and never with its text."""
    for error in (PenstockError(Code.CONFLICT, "TAKEN", "text"), RuntimeError("text")):
        with pytest.raises(type(error)):
            async with world.journal.doing("a.do", "a.done", ADMIN):
                raise error
    failed = [event for event in world.log.events if event.kind == "a.do.failed"]
    assert [event.details["error"] for event in failed] == ["TAKEN", "INTERNAL"]
    assert all("text" not in str(event.details) for event in failed)


async def test_an_outcome_that_cannot_be_logged_is_told(world: World) -> None:
    """The deed is done; whoever asked learns that its outcome is not in the log, whose intent is."""
    with pytest.raises(PenstockError) as refused:
        async with world.journal.doing("a.do", "a.done", ADMIN):
            world.log.failing = 1
    assert refused.value.reason == "AUDIT_UNAVAILABLE"
    assert world.log.kinds() == ["a.do"]


async def test_one_event_is_written_as_it_is(world: World) -> None:
    """With the time of now and a new id."""
    event = world.journal.event("approval.expired", ADMIN, approval="apr_1")
    await world.journal.write(event)
    assert world.log.events == [event]
    assert (event.at_ms, event.approval) == (world.clock(), "apr_1")
    assert event.id != world.journal.event("x", ADMIN).id

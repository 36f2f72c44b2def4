"""Tests of held calls: resumed once their approval leaves pending, dropped when their agent has gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from penstock_server.domain.approval import Person, Review, State
from penstock_server.identity import DEV_ISSUER
from penstock_server.operations import holds
from penstock_server.operations.answers import Answer, Outcome
from unit.penstock_server.operations.world import World, call_id, refund

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _running(world: World) -> AsyncIterator[None]:
    """Runs the loop of the holds for a block."""
    task = asyncio.create_task(world.holds.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at pending requests often, so that no test waits."""
    monkeypatch.setattr(holds, "LOOK_S", 0.01)


class Waiting:
    """Holds calls of a world, and gets their answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()

    async def hold(self, number: int = 1, amount: int = 250) -> str:
        """Puts one call on hold; returns its approval."""
        held = await self.world.hold(refund(amount), number)
        self.world.holds.add(replace(held, deliver=self.answers.put_nowait))
        return held.approval

    async def answer(self) -> Answer:
        """Returns the next answer."""
        return await asyncio.wait_for(self.answers.get(), 20)

    async def nothing_comes(self) -> bool:
        """Tells whether several looks at the requests bring no further answer."""
        await asyncio.sleep(0.05)
        return self.answers.empty()


@pytest.fixture
def waiting(world: World) -> Waiting:
    """Returns who waits."""
    return Waiting(world)


async def test_an_approval_resumes_the_held_call(world: World, waiting: Waiting) -> None:
    """Rung by the review, once."""
    name = await waiting.hold()
    async with _running(world):
        await world.review(name)
        answer = await waiting.answer()
        assert await waiting.nothing_comes()
    assert (answer.outcome, answer.approval) == (Outcome.ALLOW, name)


async def test_an_approval_by_another_replica_resumes_it_too(world: World, waiting: Waiting) -> None:
    """Nobody rings here: the request is looked at."""
    name = await waiting.hold()
    yes = Review(Person(DEV_ISSUER, "ann"), True, "", world.clock(), ("refunds",))
    async with _running(world):
        await asyncio.sleep(0)
        await world.approvals.review(name, yes, grant_id="grt_x")
        assert (await waiting.answer()).outcome is Outcome.ALLOW


async def test_a_denial_ends_the_wait(world: World, waiting: Waiting) -> None:
    """With the denial's code."""
    name = await waiting.hold()
    async with _running(world):
        await world.review(name, approved=False)
        assert (await waiting.answer()).code == "approval_denied"


async def test_a_deadline_ends_the_wait_and_is_logged(world: World, waiting: Waiting) -> None:
    """As expired, never as a person's no."""
    name = await waiting.hold()
    async with _running(world):
        world.clock.now_ms += 600_000
        assert (await waiting.answer()).code == "approval_expired"
    assert world.approvals.rows[name].state is State.EXPIRED
    expired = next(event for event in world.log.events if event.kind == "approval.expired")
    assert (expired.approval, expired.actor.subject) == (name, "")


async def test_a_dropped_call_gets_no_answer_and_spends_nothing(world: World, waiting: Waiting) -> None:
    """Its agent has gone: the grant is there for the same request sent again."""
    name = await waiting.hold()
    world.holds.drop([call_id(1), call_id(99)])
    async with _running(world):
        await world.review(name)
        assert await waiting.nothing_comes()
    assert world.approvals.uses == {}
    assert (await world.ask(refund(), 2)).outcome is Outcome.ALLOW


async def test_calls_that_wait_for_one_approval_share_its_one_use(world: World, waiting: Waiting) -> None:
    """One of two held calls passes, the other is refused, neither waits for ever."""
    name = await waiting.hold(1)
    assert await waiting.hold(2) == name
    async with _running(world):
        await world.review(name)
        outcomes = {(await waiting.answer()).outcome, (await waiting.answer()).outcome}
    assert outcomes == {Outcome.ALLOW, Outcome.DENY}
    assert len(world.approvals.uses) == 1


async def test_other_approvals_go_on_waiting(world: World, waiting: Waiting) -> None:
    """Only those that left pending are answered."""
    first, second = await waiting.hold(1, 1), await waiting.hold(2, 2)
    async with _running(world):
        await world.review(second)
        assert (await waiting.answer()).approval == second
        assert await waiting.nothing_comes()
    assert world.approvals.rows[first].state is State.PENDING


async def test_a_database_that_is_away_ends_no_wait(world: World, waiting: Waiting) -> None:
    """Nothing is answered meanwhile, and nothing is lost when it is back."""
    name = await waiting.hold()
    async with _running(world):
        world.approvals.away = True
        assert await waiting.nothing_comes()
        world.approvals.away = False
        await world.review(name)
        assert (await waiting.answer()).outcome is Outcome.ALLOW


async def test_waiting_ends_when_the_request_leaves_pending(world: World, waiting: Waiting) -> None:
    """With its final state."""
    name = await waiting.hold()
    task = asyncio.create_task(world.holds.wait(name, 20))
    await asyncio.sleep(0)
    await world.review(name)
    found = await task
    assert found is not None and found.state is State.APPROVED


async def test_waiting_that_runs_out_is_no_verdict(world: World, waiting: Waiting) -> None:
    """The request is returned as it is: pending. An unknown one is None."""
    name = await waiting.hold()
    found = await world.holds.wait(name, 0.02)
    assert found is not None and found.state is State.PENDING
    assert world.approvals.rows[name].state is State.PENDING
    assert await world.holds.wait("apr_none", 20) is None


async def test_an_unforeseen_failure_is_a_denial_and_tells_the_log_its_kind_alone(
    waiting: Waiting, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent is not left waiting, other calls go on, and the error's text is nowhere."""
    planted = "plan" + "ted-secret"

    async def breaks() -> None:
        raise RuntimeError(planted)

    async with _running(world):
        approval = await waiting.hold()
        await world.review(approval)
        world.log.meanwhile = [breaks]
        answer = await waiting.answer()
        assert (answer.outcome, answer.code) == (Outcome.DENY, "service_unavailable")
        await asyncio.gather(*world.holds._resuming, return_exceptions=True)
        await asyncio.sleep(0)
    assert caplog.messages == ["resuming a held call failed: RuntimeError"]
    assert planted not in answer.reason

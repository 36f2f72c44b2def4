"""Calls that wait for a human: told when their approval leaves pending, by this process or by another one."""

import asyncio
import logging
from collections.abc import Iterable

from penstock_server.domain.approval import ApprovalRequest, State
from penstock_server.domain.errors import PenstockError
from penstock_server.operations.decide import Decisions, Held
from penstock_server.operations.environment import Clock
from penstock_server.operations.interfaces import ApprovalStore
from penstock_server.operations.journal import Journal
from penstock_server.operations.judge import NOBODY

__all__ = ["Holds"]

_log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often pending requests are looked at although nobody rang, seconds: another replica may have decided."""


class Holds:
    """Keeps held calls, and expires requests whose deadline has passed (for the eye: safety never needs it)."""

    def __init__(self, approvals: ApprovalStore, decisions: Decisions, journal: Journal, clock: Clock) -> None:
        self._approvals = approvals
        self._decisions = decisions
        self._journal = journal
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._rung = asyncio.Event()
        self._resuming: set[asyncio.Task[None]] = set()

    def add(self, held: Held) -> None:
        """Keeps a call until its approval leaves pending."""
        self._held[held.question.call_id] = held

    def drop(self, call_ids: Iterable[str]) -> None:
        """Forgets calls whose agent has gone or whose hold is over."""
        for call_id in call_ids:
            self._held.pop(call_id, None)

    def ring(self) -> None:
        """Says that a request may have left pending."""
        self._rung.set()

    async def wait(self, request_id: str, timeout_s: float) -> ApprovalRequest | None:
        """Returns the request once it is not pending, or as it is at the timeout; None if there is no such request."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            request = await self._approvals.get(request_id)
            left = deadline - loop.time()
            if request is None or request.state is not State.PENDING or left <= 0:
                return request
            await asyncio.sleep(min(LOOK_S, left))

    async def run(self) -> None:
        """Looks after the held calls until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._rung.wait(), LOOK_S)
            except TimeoutError:
                pass
            self._rung.clear()
            try:
                await self._expire()
                await self._look()
            except PenstockError:
                continue  # the database is away: held calls go on waiting, their shims give up on their own

    async def _expire(self) -> None:
        for request in await self._approvals.expire(self._clock()):
            event = self._journal.event(
                "approval.expired", NOBODY, approval=request.new.id, upstream=request.new.upstream
            )
            await self._journal.write(event)

    async def _look(self) -> None:
        for name in {held.approval for held in self._held.values()}:
            request = await self._approvals.get(name)
            if request is None or request.state is State.PENDING:
                continue
            ready = [held for held in self._held.values() if held.approval == name]
            self.drop(held.question.call_id for held in ready)
            for held in ready:
                task = asyncio.get_running_loop().create_task(self._decisions.resume(held, request))
                self._resuming.add(task)
                task.add_done_callback(self._resumed)

    def _resumed(self, task: "asyncio.Task[None]") -> None:
        self._resuming.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("resuming a held call failed: %s", type(error).__name__)  # its text may hold anything

"""Decides: judge, let a human agree where a rule says so, put the audit entry on disk, then answer.

The order is what makes it safe. An entry is on disk before its answer leaves; the epoch is read in the transaction that
wrote the entry, and if it has moved everything is judged again by the new state, so that no answer of an older state
leaves after a change. What cannot be logged is refused.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from penstock_server.domain.approval import ApprovalRequest, State
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from penstock_server.operations.answers import Answer, Outcome, Question
from penstock_server.operations.gate import Gate
from penstock_server.operations.interfaces import AuditLog, ShimRow
from penstock_server.operations.judge import Judge, Judgement

__all__ = ["Decisions", "Deliver", "Held"]

MAX_REJUDGED = 3
"""How often a question is judged again because the state moved, before it is refused."""

_log = logging.getLogger(__name__)

Deliver = Callable[[Answer], None]
"""Takes an answer that may leave the service now."""


@dataclass(frozen=True, slots=True)
class Held:
    """Holds a call whose approval is pending."""

    shim: ShimRow
    question: Question
    approval: str
    deliver: Deliver


class Decisions:
    """Decides questions of shims. on_held is told of each call that waits for its approval."""

    def __init__(self, active: ActiveState, judge: Judge, gate: Gate, log: AuditLog) -> None:
        self._active = active
        self._judge = judge
        self._gate = gate
        self._log = log

    async def one(self, shim: ShimRow, question: Question) -> Answer:
        """Returns the answer to one question; a gated one is PENDING at once."""
        answers: list[Answer] = []
        await self.batch(shim, [replace(question, can_hold=False)], answers.append, lambda _: None)
        return answers[0]

    async def batch(
        self,
        shim: ShimRow,
        questions: Sequence[Question],
        deliver: Deliver,
        on_held: Callable[[Held], None],
        attempt: int = 0,
    ) -> None:
        """Delivers exactly one answer a question, those that need no human with one commit.

        Raises what nobody foresaw in the log or the new state, after a denial was delivered to each question concerned.
        """
        active = self._active.current
        quick: list[Judgement] = []
        gated: list[Judgement] = []
        for question in questions:
            try:
                judgement = self._judge.judge(active, shim, question)
            except Exception as error:  # one question must not end the stream of all others
                _log.error("judging failed: %s", type(error).__name__)
                deliver(_failed(question, active.snapshot.epoch))
                continue
            if judgement.answer.outcome is Outcome.NEED_BODY:
                deliver(judgement.answer)
            else:
                (gated if judgement.gated else quick).append(judgement)
        if gated:
            waiting = [self._through_gate(shim, judgement, deliver, on_held, attempt) for judgement in gated]
            await asyncio.gather(self._commit(shim, quick, deliver, on_held, attempt), *waiting)
        else:
            await self._commit(shim, quick, deliver, on_held, attempt)

    async def resume(self, held: Held, approval: ApprovalRequest) -> None:
        """Delivers the final answer to a held call whose approval has left pending; raises as `batch` does."""
        if approval.state is not State.APPROVED:
            active = self._active.current
            code, reason = self._gate.refusal(approval)
            judgement = self._judge.judge(active, held.shim, held.question)
            if judgement.answer.outcome is not Outcome.DENY:
                principal, evaluation = judgement.principal, judgement.evaluation
                rule = evaluation.rule if evaluation else ""
                judgement = self._judge.refuse(
                    active, held.shim, held.question, principal, code, reason, rule, evaluation
                )
            judgement = _naming(judgement, approval.new.id)
            await self._commit(held.shim, [judgement], held.deliver, lambda _: None, MAX_REJUDGED)
            return

        question = replace(held.question, can_hold=False, may_ask=False)
        await self.batch(held.shim, [question], held.deliver, lambda _: None)

    async def _through_gate(
        self,
        shim: ShimRow,
        judgement: Judgement,
        deliver: Deliver,
        on_held: Callable[[Held], None],
        attempt: int,
    ) -> None:
        """Redeems a grant for the judged action, or opens an approval request for it."""
        try:
            passed = await self._gate.pass_or_ask(self._active.current, judgement)
        except PenstockError as error:
            judgement = self._gate_refusal(shim, judgement, error)
        except Exception as error:  # see batch
            _log.error("asking for approval failed: %s", type(error).__name__)
            deliver(_failed(judgement.question, judgement.answer.epoch))
            return
        else:
            judgement = passed
        await self._commit(shim, [judgement], deliver, on_held, attempt)

    def _gate_refusal(self, shim: ShimRow, judgement: Judgement, error: PenstockError) -> Judgement:
        code = "approvals_exhausted" if error.code is Code.EXHAUSTED else "service_unavailable"
        evaluation = judgement.evaluation
        rule = evaluation.rule if evaluation else ""
        return self._judge.refuse(
            self._active.current, shim, judgement.question, judgement.principal, code, error.message, rule, evaluation
        )

    async def _commit(
        self,
        shim: ShimRow,
        judgements: list[Judgement],
        deliver: Deliver,
        on_held: Callable[[Held], None],
        attempt: int,
    ) -> None:
        """Puts the entries on disk, then delivers; judges again if the epoch has moved."""
        if not judgements:
            return
        try:
            positions = await self._log.append_many([judgement.event for judgement in judgements])
            epoch = max(position.epoch for position in positions)
            moved = any(judgement.answer.epoch < epoch for judgement in judgements)
            if moved:
                await self._active.reload(epoch)
        except PenstockError as error:
            for judgement in judgements:
                deliver(_unavailable(judgement, error.message))
            return
        except Exception:
            for judgement in judgements:
                deliver(_unavailable(judgement, "the policy service failed: see its log"))
            raise
        if not moved or all(judgement.answer.outcome is Outcome.DENY for judgement in judgements):
            for judgement in judgements:
                if judgement.answer.outcome is Outcome.PENDING and judgement.question.can_hold:
                    on_held(Held(shim, judgement.question, judgement.answer.approval, deliver))
                deliver(judgement.answer)
        elif attempt >= MAX_REJUDGED:
            for judgement in judgements:
                deliver(_unavailable(judgement, "the policy changes too often to decide: send the request again"))
        else:
            await self.batch(shim, [j.question for j in judgements], deliver, on_held, attempt + 1)


def _naming(judgement: Judgement, approval: str) -> Judgement:
    """Returns the judgement with the approval's name in answer and entry."""
    return replace(
        judgement,
        answer=replace(judgement.answer, approval=approval),
        event=replace(judgement.event, approval=approval),
    )


def _failed(question: Question, epoch: int) -> Answer:
    why = "the policy service failed: see its log"
    return Answer(question.call_id, Outcome.DENY, code="service_unavailable", reason=why, epoch=epoch)


def _unavailable(judgement: Judgement, why: str) -> Answer:
    epoch = judgement.answer.epoch
    return Answer(judgement.question.call_id, Outcome.DENY, code="service_unavailable", reason=why, epoch=epoch)

"""The human in the loop: spends a grant for an exact action, or asks for one."""

import hashlib
from dataclasses import replace

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Requirement, State
from penstock_server.domain.audit import canonical_json
from penstock_server.domain.digest import action_digest
from penstock_server.domain.policy import ApprovalTerms, PrincipalMatch
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import Active
from penstock_server.operations.answers import Outcome
from penstock_server.operations.environment import Clock, NewId
from penstock_server.operations.interfaces import ApprovalStore
from penstock_server.operations.judge import Judgement
from penstock_server.operations.shown_action import shown_json

__all__ = ["Gate", "binding_digest", "person_of"]


class Gate:
    """Lets gated actions pass on a grant. max_pending: requests a principal may have open (section 5)."""

    def __init__(
        self, approvals: ApprovalStore, clock: Clock, new_id: NewId, *, max_pending: int, denial_stands_ms: int
    ) -> None:
        self._approvals = approvals
        self._clock = clock
        self._new_id = new_id
        self._max_pending = max_pending
        self._denial_stands_ms = denial_stands_ms

    async def pass_or_ask(self, active: Active, draft: Judgement) -> Judgement:
        """Returns the draft as an allow by a grant that was spent for this call, or as pending, or as denied.

        Raises UNAVAILABLE, and EXHAUSTED if the principal has too many requests open.
        """
        now = self._clock()
        requester = person_of(draft.principal)
        terms = _terms(draft)
        requirements = tuple(Requirement(name, term.reviewers, term.quorum) for name, term in terms)
        digest = binding_digest(action_digest(requester, draft.question.action), requirements)
        spent = await self._approvals.redeem(
            requester=requester, digest=digest, call_id=draft.question.call_id, now_ms=now
        )
        if spent.grant_id is not None:
            event = replace(draft.event, grant=spent.grant_id, approval=spent.request_id or "")
            return replace(draft, event=event, answer=replace(draft.answer, approval=spent.request_id or ""))
        question = draft.question
        if not question.may_ask:
            why = "the grant was spent by another call, or does not fit any more: send the request again to ask anew"
            return _denied(draft, "", "grant_spent", why)
        if hidden := active.redactor.hides(question.action):
            why = f"a person must approve this and could not see all of it: {hidden}; send less, or as JSON or text"
            return _denied(draft, "", "approval_unshowable", why)
        new = NewApproval(
            id=self._new_id("apr"),
            requester=requester,
            groups=tuple(sorted(draft.principal.groups)),
            upstream=question.action.upstream,
            digest=digest,
            action_json=shown_json(question.action, active.redactor, draft.mask_key),
            requirements=requirements,
            reason=draft.event.reason,
            session=active.redactor.text(question.session, draft.mask_key) if question.session else "",
            call_id=question.call_id,
            policy_revision=active.snapshot.revision,
            created_at_ms=now,
            expires_at_ms=now + min(term.pending_ttl_ms for _, term in terms),
            grant_uses=min(term.grant_uses for _, term in terms),
            grant_ttl_ms=min(term.grant_ttl_ms for _, term in terms),
        )
        opened, is_new = await self._approvals.open(
            new, max_pending=self._max_pending, denial_stands_ms=self._denial_stands_ms
        )
        if opened.state is State.PENDING:
            return _pending(draft, opened, is_new, min(term.hold_ms for _, term in terms))
        code, reason = self.refusal(opened)
        return _denied(draft, opened.new.id, code, reason)

    @staticmethod
    def refusal(approval: ApprovalRequest) -> tuple[str, str]:
        """Returns the refusal code, and one line for people, of a request that was not approved."""
        name = approval.new.id
        if approval.state is State.DENIED:
            said = next((review.reason for review in approval.reviews if not review.approved), "")
            return "approval_denied", f"a reviewer denied {name}" + (f": {said}" if said else "")
        if approval.state is State.EXPIRED:
            return "approval_expired", f"nobody decided on {name} in time: send the request again to ask anew"
        return "approval_denied", f"{name} was {approval.state.value}"


def person_of(principal: Principal) -> Person:
    """Returns the identity of a principal, without its groups."""
    return Person(principal.issuer, principal.subject, principal.owner, principal.delegator)


def binding_digest(action: bytes, requirements: tuple[Requirement, ...]) -> bytes:
    """Returns what a grant is bound to, 32 bytes: the exact action, and who had to agree to it.

    A policy change between approval and use that asks for more, or for others, leaves the grant unusable and unspent.
    """
    asked = [[r.rule, r.quorum, [_match(match) for match in r.reviewers]] for r in requirements]
    return hashlib.sha256(b"penstock grant v1\x00" + action + canonical_json(asked).encode()).digest()


def _match(match: PrincipalMatch) -> list[str | None]:
    return [match.group, match.subject, match.issuer, match.owner]


def _terms(draft: Judgement) -> list[tuple[str, ApprovalTerms]]:
    """Returns (rule, terms) of each rule that demands a human, by name."""
    rules = draft.evaluation.approval_rules if draft.evaluation else ()
    terms = sorted((rule.name, rule.approval) for rule in rules if rule.approval is not None)
    assert terms, "a gated action has a rule that demands approval"
    return terms


def _pending(draft: Judgement, request: ApprovalRequest, is_new: bool, hold_ms: int) -> Judgement:
    name, expires = request.new.id, request.new.expires_at_ms
    reason = draft.event.reason or "a human must approve this request"
    details = {**draft.event.details, "new_request": is_new, "digest": request.new.digest.hex()}
    event = replace(draft.event, effect="pending", approval=name, reason=reason, details=details)
    answer = replace(
        draft.answer,
        outcome=Outcome.PENDING,
        code="approval_pending",
        reason=reason,
        credential=None,
        masks=(),
        mask_key=b"",
        approval=name,
        hold_ms=hold_ms,
        expires_at_ms=expires,
    )
    return replace(draft, event=event, answer=answer, gated=False)


def _denied(draft: Judgement, approval: str, code: str, reason: str) -> Judgement:
    details = {**draft.event.details, "code": code}
    event = replace(draft.event, effect="deny", approval=approval, reason=reason, details=details)
    answer = replace(
        draft.answer,
        outcome=Outcome.DENY,
        code=code,
        reason=reason,
        credential=None,
        masks=(),
        mask_key=b"",
        approval=approval,
    )
    return replace(draft, event=event, answer=answer, gated=False)

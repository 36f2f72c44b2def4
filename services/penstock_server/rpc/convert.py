"""Converts between protobuf messages and domain values; protobuf types stop here. What is unknown is refused."""

from collections.abc import Iterable

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock.v1 import (
    action_pb2,
    approval_pb2,
    audit_pb2,
    decision_pb2,
    policy_pb2,
    secret_pb2,
    shim_pb2,
)
from penstock_server.domain.approval import ApprovalRequest, Person, State
from penstock_server.domain.audit import AuditEntry, canonical_json
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.domain.principal import Principal
from penstock_server.operations.answers import Answer, Outcome, Question
from penstock_server.operations.interfaces import RevisionRow, SecretRow, ShimRow
from penstock_server.operations.shown_action import action_from_json

__all__ = [
    "approval_to_pb",
    "ask_from_pb",
    "entry_to_pb",
    "number_from_pb",
    "revision_to_pb",
    "secret_to_pb",
    "shim_to_pb",
    "state_from_pb",
    "verdict_to_pb",
]

LISTED_BODY_BYTES = 4096
"""Longest body that is shown in a list, bytes; the request itself shows all of it."""

MAX_NUMBER = 2**63 - 1
"""Largest integer that both databases keep."""

_BODY_FROM_PB = {
    action_pb2.BODY_STATE_NONE: BodyState.NONE,
    action_pb2.BODY_STATE_WITHHELD: BodyState.WITHHELD,
    action_pb2.BODY_STATE_WHOLE: BodyState.WHOLE,
}
_BODY_TO_PB = {state: number for number, state in _BODY_FROM_PB.items()}
_OUTCOME_TO_PB = {
    Outcome.ALLOW: decision_pb2.OUTCOME_ALLOW,
    Outcome.DENY: decision_pb2.OUTCOME_DENY,
    Outcome.PENDING: decision_pb2.OUTCOME_PENDING,
    Outcome.NEED_BODY: decision_pb2.OUTCOME_NEED_BODY,
}
_STATE_TO_PB = {
    State.PENDING: approval_pb2.APPROVAL_STATE_PENDING,
    State.APPROVED: approval_pb2.APPROVAL_STATE_APPROVED,
    State.DENIED: approval_pb2.APPROVAL_STATE_DENIED,
    State.EXPIRED: approval_pb2.APPROVAL_STATE_EXPIRED,
    State.CANCELLED: approval_pb2.APPROVAL_STATE_CANCELLED,
}
_STATE_FROM_PB = {number: state for state, number in _STATE_TO_PB.items()}


def number_from_pb(number: int) -> int:
    """Returns a row's number; what is beyond every row (uint64 is wider than SQL's integers) is cut to the last one."""
    return min(number, MAX_NUMBER)


def ask_from_pb(ask: decision_pb2.Ask) -> Question:
    """Returns the question. Raises INVALID if it has no action, no call id, or an unknown body state."""
    call_id = ask.call_id
    if len(call_id) != 32 or call_id.strip("0123456789abcdef"):
        raise _invalid("ask.call_id has 32 lower-case hexadecimal digits")
    if ask.action.WhichOneof("protocol") != "http":
        raise _invalid("ask.action needs an http request")
    http = ask.action.http
    body_state = _BODY_FROM_PB.get(http.body_state)
    if body_state is None:
        raise _invalid("ask.action.http.body_state is unknown")
    request = HttpRequest(
        method=http.method,
        authority=http.authority,
        path=http.path,
        query=http.query,
        headers=tuple([(header.name, header.value) for header in http.headers]),
        body_state=body_state,
        body=http.body,
    )
    return Question(call_id, ask.token, Action(ask.action.upstream, request), ask.session, ask.can_hold)


def verdict_to_pb(answer: Answer) -> decision_pb2.Verdict:
    """Returns the verdict, with obligations only on allow."""
    verdict = decision_pb2.Verdict(
        call_id=answer.call_id,
        outcome=_OUTCOME_TO_PB[answer.outcome],
        decision_id=answer.decision_id,
        code=answer.code,
        rule=answer.rule,
        reason=answer.reason,
        need_body_max=answer.need_body_max,
        policy_revision=answer.policy_revision,
        epoch=answer.epoch,
    )
    if answer.outcome is Outcome.ALLOW:
        verdict.obligations.mask_key = answer.mask_key
        for mask in answer.masks:
            verdict.obligations.masks.add(detectors=mask.detectors, json=mask.json, header=mask.header)
        if answer.credential is not None:
            credential = answer.credential
            verdict.obligations.credential.header = credential.header
            verdict.obligations.credential.value = credential.value
            verdict.obligations.credential.hosts.extend(credential.hosts)
    if answer.approval:
        verdict.approval.name = answer.approval
        verdict.approval.hold_ms = answer.hold_ms
        verdict.approval.expires_at_ms = answer.expires_at_ms
    return verdict


def principal_to_pb(principal: Principal) -> action_pb2.Principal:
    """Returns the message."""
    return action_pb2.Principal(
        issuer=principal.issuer,
        subject=principal.subject,
        groups=sorted(principal.groups),
        owner=principal.owner,
        delegator=principal.delegator,
    )


def person_to_pb(person: Person, groups: Iterable[str] = ()) -> action_pb2.Principal:
    """Returns the message."""
    return action_pb2.Principal(
        issuer=person.issuer,
        subject=person.subject,
        groups=sorted(groups),
        owner=person.owner,
        delegator=person.delegator,
    )


def action_to_pb(action: Action, *, listed: bool) -> action_pb2.Action:
    """Returns the message; in a list, a long body is withheld."""
    http = action.http
    withheld = listed and len(http.body) > LISTED_BODY_BYTES
    return action_pb2.Action(
        upstream=action.upstream,
        http=action_pb2.HttpRequest(
            method=http.method,
            authority=http.authority,
            path=http.path,
            query=http.query,
            headers=[action_pb2.Header(name=name, value=value) for name, value in http.headers],
            body_state=_BODY_TO_PB[BodyState.WITHHELD if withheld else http.body_state],
            body=b"" if withheld else http.body,
        ),
    )


def approval_to_pb(request: ApprovalRequest, *, listed: bool = False) -> approval_pb2.Approval:
    """Returns the request with its reviews, requirements and grant."""
    new = request.new
    approval = approval_pb2.Approval(
        name=new.id,
        state=_STATE_TO_PB[request.state],
        requester=person_to_pb(new.requester, new.groups),
        action=action_to_pb(action_from_json(new.action_json), listed=listed),
        action_digest=new.digest,
        rules=[requirement.rule for requirement in new.requirements],
        reason=new.reason,
        session=new.session,
        created_at_ms=new.created_at_ms,
        expires_at_ms=new.expires_at_ms,
        resolved_at_ms=request.resolved_at_ms or 0,
        policy_revision=new.policy_revision,
    )
    for review in request.reviews:
        reviewer = person_to_pb(review.reviewer)
        approval.reviews.add(reviewer=reviewer, approved=review.approved, reason=review.reason, at_ms=review.at_ms)
    for requirement in new.requirements:
        said_yes = sum(1 for review in request.reviews if review.approved and requirement.rule in review.satisfies)
        reviewers = [_reviewer_to_pb(match) for match in requirement.reviewers]
        approval.requirements.add(
            rule=requirement.rule, quorum=requirement.quorum, approved=said_yes, reviewers=reviewers
        )
    if request.grant is not None:
        grant = request.grant
        approval.grant.name = grant.id
        approval.grant.uses_left = grant.uses_left
        approval.grant.start_at_ms = grant.start_at_ms
        approval.grant.end_at_ms = grant.end_at_ms
    return approval


def _reviewer_to_pb(match: PrincipalMatch) -> approval_pb2.ReviewerMatch:
    return approval_pb2.ReviewerMatch(
        group=match.group or "", subject=match.subject or "", issuer=match.issuer or "", owner=match.owner or ""
    )


def state_from_pb(state: int) -> State:
    """Returns the state; UNSPECIFIED means pending. Raises INVALID if it is unknown."""
    if state == approval_pb2.APPROVAL_STATE_UNSPECIFIED:
        return State.PENDING
    known = _STATE_FROM_PB.get(state)  # type: ignore[call-overload] # an unknown number is what is looked for
    if known is None:
        raise _invalid("state is unknown")
    return known  # type: ignore[no-any-return] # same


def revision_to_pb(row: RevisionRow) -> policy_pb2.Revision:
    """Returns the message."""
    return policy_pb2.Revision(
        number=row.number, author=row.author, created_at_ms=row.created_at_ms, active=row.active, digest=row.digest
    )


def secret_to_pb(row: SecretRow) -> secret_pb2.Secret:
    """Returns the message: never a value."""
    return secret_pb2.Secret(name=row.name, version=row.version, hosts=row.hosts, created_at_ms=row.created_at_ms)


def shim_to_pb(row: ShimRow) -> shim_pb2.Shim:
    """Returns the message: never a credential."""
    return shim_pb2.Shim(
        name=row.name,
        upstreams=row.upstreams,
        groups=row.groups,
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms or 0,
    )


def entry_to_pb(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """Returns the message."""
    event = entry.event
    return audit_pb2.AuditEntry(
        log=entry.log,
        seq=entry.seq,
        id=event.id,
        kind=event.kind,
        at_ms=event.at_ms,
        actor=principal_to_pb(event.actor),
        upstream=event.upstream,
        method=event.method,
        resource=event.resource,
        effect=event.effect,
        decision_id=event.decision_id,
        call_id=event.call_id,
        rules=event.rules,
        reason=event.reason,
        approval=event.approval,
        grant=event.grant,
        policy_revision=event.policy_revision,
        details_json=canonical_json(event.details),
        leaf_hash=entry.leaf_hash,
        chain_hash=entry.chain_hash,
    )


def _invalid(message: str) -> PenstockError:
    return PenstockError(Code.INVALID, "MESSAGE_INVALID", message)

"""Rows of approvals to domain values and back."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_server.domain.approval import ApprovalRequest, Grant, NewApproval, Person, Requirement, Review, State
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.store.tables import APPROVAL_REQUEST, APPROVAL_REQUIREMENT, APPROVAL_REVIEW, GRANT

__all__ = ["grant_row", "insert_request", "read_request", "read_requests"]


async def insert_request(connection: AsyncConnection, new: NewApproval) -> None:
    """Inserts a pending request with its requirements."""
    await connection.execute(
        insert(APPROVAL_REQUEST).values(
            id=new.id,
            requester_issuer=new.requester.issuer,
            requester_subject=new.requester.subject,
            owner=new.requester.owner,
            delegator=new.requester.delegator,
            groups=json.dumps(new.groups),
            upstream=new.upstream,
            digest=new.digest,
            action=new.action_json,
            reason=new.reason,
            session=new.session,
            call_id=new.call_id,
            policy_revision=new.policy_revision,
            created_at_ms=new.created_at_ms,
            expires_at_ms=new.expires_at_ms,
            grant_uses=new.grant_uses,
            grant_ttl_ms=new.grant_ttl_ms,
            state=State.PENDING.value,
            version=0,
            resolved_at_ms=None,
        )
    )
    rows = [
        {
            "request_id": new.id,
            "rule": requirement.rule,
            "quorum": requirement.quorum,
            "reviewers": json.dumps([asdict(match) for match in requirement.reviewers]),
        }
        for requirement in new.requirements
    ]
    if rows:
        await connection.execute(insert(APPROVAL_REQUIREMENT), rows)


def grant_row(request: ApprovalRequest, grant_id: str, at_ms: int) -> dict[str, Any]:
    """Returns the row of an approved request's grant: its window begins at the approval."""
    new = request.new
    return {
        "id": grant_id,
        "request_id": new.id,
        "request_state": State.APPROVED.value,
        "requester_issuer": new.requester.issuer,
        "requester_subject": new.requester.subject,
        "digest": new.digest,
        "uses_left": new.grant_uses,
        "start_at_ms": at_ms,
        "end_at_ms": at_ms + new.grant_ttl_ms,
        "revoked_at_ms": None,
    }


async def read_request(connection: AsyncConnection, request_id: str) -> ApprovalRequest | None:
    """Returns one request, or None."""
    found = await read_requests(connection, [request_id])
    return found[0] if found else None


async def read_requests(connection: AsyncConnection, names: Sequence[str]) -> list[ApprovalRequest]:
    """Returns the requests of those names in that order; an unknown name is left out."""
    if not names:
        return []
    rows = await connection.execute(select(*APPROVAL_REQUEST.c).where(APPROVAL_REQUEST.c.id.in_(names)))
    requests = {row.id: row for row in rows.all()}
    requirements: dict[str, list[Requirement]] = defaultdict(list)
    query = select(*APPROVAL_REQUIREMENT.c).where(APPROVAL_REQUIREMENT.c.request_id.in_(names))
    for row in (await connection.execute(query.order_by(APPROVAL_REQUIREMENT.c.rule))).all():
        reviewers = tuple(PrincipalMatch(**match) for match in json.loads(row.reviewers))
        requirements[row.request_id].append(Requirement(row.rule, reviewers, int(row.quorum)))
    reviews: dict[str, list[Review]] = defaultdict(list)
    query = select(*APPROVAL_REVIEW.c).where(APPROVAL_REVIEW.c.request_id.in_(names))
    query = query.order_by(APPROVAL_REVIEW.c.at_ms, APPROVAL_REVIEW.c.reviewer_subject)
    for row in (await connection.execute(query)).all():
        reviewer = Person(row.reviewer_issuer, row.reviewer_subject)
        satisfies = tuple(json.loads(row.satisfies))
        reviews[row.request_id].append(Review(reviewer, bool(row.approved), row.reason, int(row.at_ms), satisfies))
    grants = {}
    for row in (await connection.execute(select(*GRANT.c).where(GRANT.c.request_id.in_(names)))).all():
        grants[row.request_id] = Grant(
            row.id, row.request_id, int(row.uses_left), int(row.start_at_ms), int(row.end_at_ms), row.revoked_at_ms
        )
    return [
        _request(requests[name], tuple(requirements[name]), tuple(reviews[name]), grants.get(name))
        for name in names
        if name in requests
    ]


def _request(
    row: Any, requirements: tuple[Requirement, ...], reviews: tuple[Review, ...], grant: Grant | None
) -> ApprovalRequest:
    new = NewApproval(
        id=row.id,
        requester=Person(row.requester_issuer, row.requester_subject, row.owner, row.delegator),
        groups=tuple(json.loads(row.groups)),
        upstream=row.upstream,
        digest=row.digest,
        action_json=row.action,
        requirements=requirements,
        reason=row.reason,
        session=row.session,
        call_id=row.call_id,
        policy_revision=row.policy_revision,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        grant_uses=row.grant_uses,
        grant_ttl_ms=row.grant_ttl_ms,
    )
    return ApprovalRequest(new, State(row.state), row.resolved_at_ms, reviews, grant)

"""Approval requests, reviews, grants and uses over SQL: each method one transaction, the request's row locked first."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Redemption, Review, State
from penstock_server.domain.approval_machine import resolve
from penstock_server.domain.audit import canonical_json
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.store.approval_rows import grant_row, insert_request, read_request, read_requests
from penstock_server.store.engine import Database
from penstock_server.store.tables import APPROVAL_REQUEST, APPROVAL_REVIEW, GRANT, GRANT_USE, REQUEST_EVENT

__all__ = ["SqlApprovalStore"]

NOBODY = Person("", "")
"""Stands for the clock as the actor of an expiry."""


class SqlApprovalStore:
    """Implements ApprovalStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, new: NewApproval, *, max_pending: int, denial_stands_ms: int) -> tuple[ApprovalRequest, bool]:
        """Stores a request, or joins the pending one of the same digest; the flag says if it is new.

        Returns the denied request if the same digest was denied within denial_stands_ms. Raises EXHAUSTED, CONFLICT.
        """
        try:
            async with self._database.write() as connection:
                return await _open(connection, new, max_pending, denial_stands_ms)
        except IntegrityError:
            pass  # another process opened it between our look and our insert: join that one
        try:
            async with self._database.write() as connection:
                return await _open(connection, new, max_pending, denial_stands_ms)
        except IntegrityError:
            raise PenstockError(
                Code.CONFLICT, "CALL_REUSED", "this call id asked for another action before: use a new one"
            ) from None

    async def get(self, request_id: str) -> ApprovalRequest | None:
        """Returns a request with reviews and grant, or None."""
        async with self._database.read() as connection:
            return await read_request(connection, request_id)

    async def page(self, *, state: State, limit: int, before: tuple[int, str] | None) -> list[ApprovalRequest]:
        """Returns requests newest first, before the (created_at_ms, id) of the former page's last."""
        columns = APPROVAL_REQUEST.c
        query = select(columns.id).where(columns.state == state.value)
        if before is not None:
            at, name = before
            older = or_(columns.created_at_ms < at, and_(columns.created_at_ms == at, columns.id < name))
            query = query.where(older)
        query = query.order_by(columns.created_at_ms.desc(), columns.id.desc()).limit(limit)
        async with self._database.read() as connection:
            names = list((await connection.execute(query)).scalars())
            return await read_requests(connection, names)

    async def review(self, request_id: str, review: Review, *, grant_id: str) -> tuple[ApprovalRequest, bool]:
        """Adds a review under the row's lock and resolves the request; approval creates the grant with it.

        The flag is False if the same person had said the same before. Raises NOT_FOUND, WRONG_STATE, CONFLICT.
        """
        async with self._database.write() as connection:
            request = await _locked(connection, request_id)
            earlier = next((r for r in request.reviews if _same_person(r.reviewer, review.reviewer)), None)
            if earlier is not None:
                if earlier.approved == review.approved:
                    return request, False
                raise PenstockError(
                    Code.CONFLICT, "REVIEW_STANDS", f"you said the opposite on {request_id} before: a review is final"
                )
            overdue = request.state is State.PENDING and review.at_ms >= request.new.expires_at_ms
            if overdue:
                request = await _leave(connection, request, State.EXPIRED, NOBODY, review.at_ms)
            elif request.state is State.PENDING:
                await _add_review(connection, request, review)
                request = replace(request, reviews=(*request.reviews, review))
                after = resolve(request.new.requirements, request.reviews)
                if after is not State.PENDING:
                    request = await _leave(connection, request, after, review.reviewer, review.at_ms)
                if after is State.APPROVED:
                    row = grant_row(request, grant_id, review.at_ms)
                    await connection.execute(insert(GRANT).values(**row))
                    request = await _read(connection, request_id)
                return request, True
        raise _wrong_state(request)  # outside the transaction, so that an expiry found on the way stays

    async def cancel(self, request_id: str, *, actor: Person, at_ms: int) -> ApprovalRequest:
        """Leaves pending as cancelled. Raises NOT_FOUND, WRONG_STATE."""
        async with self._database.write() as connection:
            request = await _locked(connection, request_id)
            if request.state is not State.PENDING:
                raise _wrong_state(request)
            return await _leave(connection, request, State.CANCELLED, actor, at_ms)

    async def expire(self, now_ms: int) -> list[ApprovalRequest]:
        """Leaves pending as expired wherever the deadline has passed; returns those."""
        columns = APPROVAL_REQUEST.c
        query = select(columns.id).where(columns.state == State.PENDING.value, columns.expires_at_ms <= now_ms)
        async with self._database.read() as connection:
            overdue = list((await connection.execute(query)).scalars())
        expired = []
        for request_id in overdue:
            async with self._database.write() as connection:
                request = await _locked(connection, request_id)
                if request.state is State.PENDING:
                    expired.append(await _leave(connection, request, State.EXPIRED, NOBODY, now_ms))
        return expired

    async def redeem(self, *, requester: Person, digest: bytes, call_id: str, now_ms: int) -> Redemption:
        """Claims one use of a usable grant of this requester and digest.

        The same call_id gets the same answer, as long as the grant's window is open and it is not revoked.
        """
        mine = and_(
            GRANT.c.requester_issuer == requester.issuer,
            GRANT.c.requester_subject == requester.subject,
            GRANT.c.digest == digest,
        )
        open_now = and_(
            mine, GRANT.c.revoked_at_ms.is_(None), GRANT.c.start_at_ms <= now_ms, GRANT.c.end_at_ms > now_ms
        )
        async with self._database.read() as connection:
            if (await connection.execute(select(GRANT.c.id).where(mine).limit(1))).first() is None:
                return Redemption(None, None)
        try:
            return await self._spend(open_now, call_id, now_ms)
        except IntegrityError:
            return await self._spend(open_now, call_id, now_ms)  # the same call raced with itself: now its use is there

    async def _spend(self, open_now: ColumnElement[bool], call_id: str, now_ms: int) -> Redemption:
        usable = and_(open_now, GRANT.c.uses_left > 0)
        async with self._database.write() as connection:
            used = (
                await connection.execute(
                    select(GRANT.c.id, GRANT.c.request_id)
                    .join(GRANT_USE, GRANT_USE.c.grant_id == GRANT.c.id)
                    .where(open_now, GRANT_USE.c.call_id == call_id)
                )
            ).first()
            if used is not None:
                return Redemption(used.id, used.request_id)
            candidates = select(GRANT.c.id, GRANT.c.request_id).where(usable).order_by(GRANT.c.end_at_ms, GRANT.c.id)
            for found in (await connection.execute(candidates)).all():
                spent = await connection.execute(
                    update(GRANT).where(GRANT.c.id == found.id, usable).values(uses_left=GRANT.c.uses_left - 1)
                )
                if spent.rowcount == 1:
                    use = {"grant_id": found.id, "call_id": call_id, "state": "claimed", "claimed_at_ms": now_ms}
                    await connection.execute(insert(GRANT_USE).values(**use))
                    return Redemption(found.id, found.request_id)
        return Redemption(None, None)  # used up, over or revoked


async def _open(
    connection: AsyncConnection, new: NewApproval, max_pending: int, denial_stands_ms: int
) -> tuple[ApprovalRequest, bool]:
    await _queue_requester(connection, new.requester)
    columns = APPROVAL_REQUEST.c
    mine = and_(columns.requester_issuer == new.requester.issuer, columns.requester_subject == new.requester.subject)
    reused = select(columns.id).where(mine, columns.call_id == new.call_id, columns.digest != new.digest).limit(1)
    if (await connection.execute(reused)).first() is not None:
        raise PenstockError(Code.CONFLICT, "CALL_REUSED", "this call id asked for another action before: use a new one")
    pending = select(columns.id).where(mine, columns.digest == new.digest, columns.state == State.PENDING.value)
    name = (await connection.execute(pending)).scalar_one_or_none()
    if name is not None:
        request = await _locked(connection, name)
        if request.state is State.PENDING and request.new.expires_at_ms > new.created_at_ms:
            return request, False
        if request.state is State.PENDING:
            await _leave(connection, request, State.EXPIRED, NOBODY, new.created_at_ms)
    denied = (
        select(columns.id)
        .where(
            mine,
            columns.digest == new.digest,
            columns.state == State.DENIED.value,
            columns.resolved_at_ms > new.created_at_ms - denial_stands_ms,
        )
        .order_by(columns.resolved_at_ms.desc())
        .limit(1)
    )
    name = (await connection.execute(denied)).scalar_one_or_none()
    if name is not None:
        return await _read(connection, name), False
    waiting = select(func.count()).where(
        mine, columns.state == State.PENDING.value, columns.expires_at_ms > new.created_at_ms
    )
    if (await connection.execute(waiting)).scalar_one() >= max_pending:
        raise PenstockError(
            Code.EXHAUSTED,
            "TOO_MANY_PENDING",
            f"{max_pending} of your requests wait for approval already: wait for one of them",
            retry_after_ms=10_000,
        )
    await insert_request(connection, new)
    return ApprovalRequest(new, State.PENDING), True


async def _queue_requester(connection: AsyncConnection, requester: Person) -> None:
    """Lets one requester open one request at a time, so that its pending ones can be counted.

    SQLite's writers stand in line anyway; on PostgreSQL two transactions would not see each other's request.
    """
    if connection.dialect.name == "postgresql":
        name = canonical_json(["penstock requester", requester.issuer, requester.subject]).encode()
        key = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)
        await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def _read(connection: AsyncConnection, request_id: str) -> ApprovalRequest:
    request = await read_request(connection, request_id)
    assert request is not None, "the row was there in this transaction"
    return request


async def _locked(connection: AsyncConnection, request_id: str) -> ApprovalRequest:
    """Locks the request's row, then reads it with what belongs to it. Raises NOT_FOUND."""
    lock = select(APPROVAL_REQUEST.c.id).where(APPROVAL_REQUEST.c.id == request_id).with_for_update()
    if (await connection.execute(lock)).first() is None:
        raise PenstockError(Code.NOT_FOUND, "APPROVAL_NOT_FOUND", "no such approval request: check its name")
    return await _read(connection, request_id)


async def _leave(
    connection: AsyncConnection, request: ApprovalRequest, after: State, actor: Person, at_ms: int
) -> ApprovalRequest:
    """Takes a locked pending request to its final state, once; the event's constraints refuse anything else."""
    event: dict[str, Any] = {
        "request_id": request.new.id,
        "version": 1,
        "prior": State.PENDING.value,
        "next": after.value,
        "actor_issuer": actor.issuer,
        "actor_subject": actor.subject,
        "at_ms": at_ms,
    }
    await connection.execute(insert(REQUEST_EVENT).values(**event))
    await connection.execute(
        update(APPROVAL_REQUEST)
        .where(APPROVAL_REQUEST.c.id == request.new.id, APPROVAL_REQUEST.c.state == State.PENDING.value)
        .values(state=after.value, resolved_at_ms=at_ms, version=1)
    )
    return replace(request, state=after, resolved_at_ms=at_ms)


async def _add_review(connection: AsyncConnection, request: ApprovalRequest, review: Review) -> None:
    await connection.execute(
        insert(APPROVAL_REVIEW).values(
            request_id=request.new.id,
            reviewer_issuer=review.reviewer.issuer,
            reviewer_subject=review.reviewer.subject,
            requester_issuer=request.new.requester.issuer,
            requester_subject=request.new.requester.subject,
            owner=request.new.requester.owner,
            delegator=request.new.requester.delegator,
            approved=review.approved,
            reason=review.reason,
            satisfies=json.dumps(review.satisfies),
            at_ms=review.at_ms,
        )
    )


def _same_person(one: Person, other: Person) -> bool:
    return (one.issuer, one.subject) == (other.issuer, other.subject)


def _wrong_state(request: ApprovalRequest) -> PenstockError:
    return PenstockError(
        Code.WRONG_STATE,
        "APPROVAL_NOT_PENDING",
        f"{request.new.id} is {request.state.value} already: nothing can be decided on it any more",
        metadata={"state": request.state.value},
    )

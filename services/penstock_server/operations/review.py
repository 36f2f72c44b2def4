"""What reviewers and requesters may do with approval requests. Who may not see one is told that it does not exist."""

from dataclasses import replace

from penstock_server.domain.approval import ApprovalRequest, Review, State
from penstock_server.domain.approval_machine import eligible
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Clock, NewId, Vault
from penstock_server.operations.gate import person_of
from penstock_server.operations.holds import Holds
from penstock_server.operations.interfaces import ApprovalStore
from penstock_server.operations.journal import Journal

__all__ = ["Reviews"]

MAX_REASON = 1000
"""Longest reason of a review, characters."""


class Reviews:
    """Lists, shows and decides approval requests. people_issuer: the only issuer whose subjects may review."""

    def __init__(
        self,
        store: ApprovalStore,
        active: ActiveState,
        vault: Vault,
        journal: Journal,
        holds: Holds,
        clock: Clock,
        new_id: NewId,
        people_issuer: str,
    ) -> None:
        self._store = store
        self._active = active
        self._vault = vault
        self._journal = journal
        self._holds = holds
        self._clock = clock
        self._new_id = new_id
        self._people_issuer = people_issuer

    async def own(self, caller: Principal, request_id: str, timeout_s: float = 0.0) -> ApprovalRequest:
        """Returns the caller's own request, once it is not pending or at the timeout. Raises NOT_FOUND."""
        request = await self._store.get(request_id)
        if request is None or request.new.requester != person_of(caller):
            raise _absent(request_id)
        if timeout_s and request.state is State.PENDING:
            request = await self._holds.wait(request_id, timeout_s) or request
        return request

    async def page(
        self, caller: Principal, state: State, limit: int, before: tuple[int, str] | None
    ) -> tuple[list[ApprovalRequest], tuple[int, str] | None]:
        """Returns at most `limit` requests that the caller may review, newest first, and where the next page starts."""
        found: list[ApprovalRequest] = []
        while True:
            rows = await self._store.page(state=state, limit=limit, before=before)
            for row in rows:
                before = (row.new.created_at_ms, row.new.id)
                if self._may_review(caller, row):
                    found.append(row)
                    if len(found) == limit:
                        return found, before
            if len(rows) < limit:
                return found, None

    async def show(self, caller: Principal, request_id: str) -> ApprovalRequest:
        """Returns a request that the caller may review. Raises NOT_FOUND."""
        request = await self._store.get(request_id)
        if request is None or not self._may_review(caller, request):
            raise _absent(request_id)
        return request

    async def decide(
        self, caller: Principal, request_id: str, *, approved: bool, reason: str, seen_digest: bytes = b""
    ) -> ApprovalRequest:
        """Adds the caller's review and returns the request as it is then; the same review twice has one effect.

        Raises NOT_FOUND, WRONG_STATE, CONFLICT (the caller said the opposite, or saw another action), INVALID.
        """
        if len(reason) > MAX_REASON:
            raise PenstockError(
                Code.INVALID, "REASON_TOO_LONG", f"the reason is over {MAX_REASON} characters: shorten it"
            )
        if "\0" in reason:
            raise PenstockError(Code.INVALID, "REASON_BINARY", "the reason holds a NUL, which no text does: remove it")
        request = await self.show(caller, request_id)
        if seen_digest and seen_digest != request.new.digest:
            raise PenstockError(
                Code.CONFLICT, "ACTION_CHANGED", f"{request_id} is not the action that was shown: look at it again"
            )
        rules = eligible(caller, request, self._people_issuer)
        reason = self._masked(reason, request)
        review = Review(person_of(caller), approved, reason, self._clock(), rules)
        done = "approval.reviewed"
        details = {"approved": approved, "digest": request.new.digest.hex(), "requester": request.new.requester.subject}
        async with self._journal.doing(
            "approval.review",
            done,
            caller,
            approval=request_id,
            upstream=request.new.upstream,
            reason=reason,
            rules=rules,
            details=details,
        ) as intent:
            after, is_new = await self._store.review(request_id, review, grant_id=self._new_id("grt"))
            intent.note(state=after.state.value, grant=after.grant.id if after.grant else "")
            if is_new and after.state is not State.PENDING:  # this review decided it
                intent.outcome = replace(intent.outcome, kind=f"approval.{after.state.value}")
        self._holds.ring()
        return after

    def _masked(self, reason: str, request: ApprovalRequest) -> str:
        """Returns the reason without stored secrets: it goes to the log and to the agent that asked."""
        requester = request.new.requester
        key = self._vault.mask_key(request.new.upstream, Principal(requester.issuer, requester.subject))
        return self._active.current.redactor.text(reason, key) if reason else ""

    def _may_review(self, caller: Principal, request: ApprovalRequest) -> bool:
        return bool(eligible(caller, request, self._people_issuer))


def _absent(request_id: str) -> PenstockError:
    return PenstockError(
        Code.NOT_FOUND, "APPROVAL_NOT_FOUND", f"no approval request {request_id[:64]!r} for you: check the name"
    )

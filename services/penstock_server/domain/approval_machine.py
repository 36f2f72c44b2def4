"""The machine of an approval request: the rules, the table, the code. The database enforces the same table again.

A request starts pending and leaves it once, for ever: approved when every rule that demanded a human has its quorum of
distinct reviewers, denied at the first no, expired at its deadline, cancelled by its requester. A no beats any number
of yeses; the order of the same reviews makes no difference to a request that is still open.
"""

from penstock_server.domain.approval import ApprovalRequest, Requirement, Review, State
from penstock_server.domain.evaluate import principal_matches
from penstock_server.domain.principal import Principal

__all__ = ["TRANSITIONS", "eligible", "resolve"]

TRANSITIONS: frozenset[tuple[State, State]] = frozenset(
    {
        (State.PENDING, State.APPROVED),
        (State.PENDING, State.DENIED),
        (State.PENDING, State.EXPIRED),
        (State.PENDING, State.CANCELLED),
    }
)
"""Every legal edge (prior, next)."""


def resolve(requirements: tuple[Requirement, ...], reviews: tuple[Review, ...]) -> State:
    """Returns the state that these reviews lead to from pending."""
    if any(not review.approved for review in reviews):
        return State.DENIED
    if not requirements:
        return State.PENDING
    met = all(_approvals(requirement.rule, reviews) >= requirement.quorum for requirement in requirements)
    return State.APPROVED if met else State.PENDING


def _approvals(rule: str, reviews: tuple[Review, ...]) -> int:
    """Returns how many distinct people approved for that rule."""
    people = {(r.reviewer.issuer, r.reviewer.subject) for r in reviews if r.approved and rule in r.satisfies}
    return len(people)


def eligible(reviewer: Principal, request: ApprovalRequest, people_issuer: str) -> tuple[str, ...]:
    """Returns the rules for which this person may review the request; none for who asks, owns or delegates.

    Only subjects of the people issuer review, and nobody who acts for another (an agent has an owner or delegator).
    The person behind the requester is compared by subject, since owner and delegator claims name subjects.
    """
    new = request.new
    if reviewer.issuer != people_issuer or reviewer.owner or reviewer.delegator:
        return ()
    asking = {new.requester.owner, new.requester.delegator}
    if new.requester.issuer == people_issuer:
        asking.add(new.requester.subject)
    if reviewer.subject in asking:
        return ()
    return tuple(
        requirement.rule
        for requirement in new.requirements
        if requirement.reviewers and principal_matches(reviewer, requirement.reviewers)
    )

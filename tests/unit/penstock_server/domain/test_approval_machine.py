"""The machine of an approval request: who may review, and what reviews lead to."""

import itertools

import pytest

from penstock_server.domain.approval import ApprovalRequest, NewApproval, Person, Requirement, Review, State
from penstock_server.domain.approval_machine import TRANSITIONS, eligible, resolve
from penstock_server.domain.policy import PrincipalMatch
from penstock_server.domain.principal import Principal

PEOPLE = "urn:people"
FINANCE, LEGAL = PrincipalMatch(group="finance"), PrincipalMatch(group="legal")
TWO_RULES = (Requirement("large", (FINANCE,), 2), Requirement("legal", (LEGAL,), 1))


def request_of(requester: Person, *requirements: Requirement) -> ApprovalRequest:
    """Returns a pending request."""
    new = NewApproval(
        id="apr_1",
        requester=requester,
        groups=("agents",),
        upstream="billing",
        digest=bytes(32),
        action_json="{}",
        requirements=requirements or (Requirement("large", (FINANCE,), 1),),
        reason="",
        session="",
        call_id="c",
        policy_revision=1,
        created_at_ms=1,
        expires_at_ms=2,
        grant_uses=1,
        grant_ttl_ms=1,
    )
    return ApprovalRequest(new, State.PENDING)


def review(who: str, *rules: str, approved: bool = True, issuer: str = PEOPLE) -> Review:
    """Returns what one person said, who is among the reviewers of those rules."""
    return Review(Person(issuer, who), approved, "", 1, rules)


def person(subject: str, *groups: str, issuer: str = PEOPLE, owner: str = "", delegator: str = "") -> Principal:
    """Returns a principal."""
    return Principal(issuer, subject, frozenset(groups), owner, delegator)


def test_every_edge_leaves_pending_and_none_comes_back() -> None:
    """No state but pending has a way out, and every other state is reached from it."""
    assert {prior for prior, _ in TRANSITIONS} == {State.PENDING}
    assert {after for _, after in TRANSITIONS} == set(State) - {State.PENDING}


def test_every_rule_needs_its_own_quorum() -> None:
    """Approvals for one rule do not fill the quorum of another."""
    yes = (review("ann", "large"), review("bob", "large"))
    assert resolve(TWO_RULES, yes) is State.PENDING
    assert resolve(TWO_RULES, (*yes, review("eve", "legal"))) is State.APPROVED


def test_one_person_in_two_groups_counts_once_a_rule() -> None:
    """Quorum counts people: the same one twice is one, however often and for however many rules."""
    ann = review("ann", "large", "legal")
    assert resolve(TWO_RULES, (ann, ann)) is State.PENDING
    assert resolve(TWO_RULES, (ann, review("bob", "large"))) is State.APPROVED


def test_people_of_two_issuers_are_two_people() -> None:
    """An identity is (issuer, subject)."""
    two = Requirement("large", (FINANCE,), 2)
    assert resolve((two,), (review("ann", "large"), review("ann", "large", issuer="urn:x"))) is State.APPROVED


def test_a_yes_of_somebody_who_is_not_among_the_reviewers_counts_for_nothing() -> None:
    """Only what a review satisfies is counted."""
    assert resolve((Requirement("large", (FINANCE,), 1),), (review("ann", "other"),)) is State.PENDING


def test_a_request_without_requirements_is_never_approved() -> None:
    """Nothing demanded means nobody could agree: it stays open until it expires, and a no still ends it."""
    assert resolve((), (review("ann"),)) is State.PENDING
    assert resolve((), (review("ann", approved=False),)) is State.DENIED


@pytest.mark.parametrize("denies", [0, 1, 2])
def test_the_order_of_the_same_reviews_makes_no_difference(denies: int) -> None:
    """Every order of the same reviews ends alike, and one no beats any number of yeses."""
    reviews = [review("ann", "large"), review("bob", "large"), review("eve", "legal")]
    reviews += [review(f"no{number}", "large", approved=False) for number in range(denies)]
    found = {resolve(TWO_RULES, order) for order in itertools.permutations(reviews)}
    assert found == {State.DENIED if denies else State.APPROVED}


def test_a_member_of_the_reviewers_may_review_for_those_rules_only() -> None:
    """The rules that the person may decide on are named."""
    request = request_of(Person("urn:agents", "bot"), *TWO_RULES)
    assert eligible(person("ann", "finance"), request, PEOPLE) == ("large",)
    assert eligible(person("ann", "finance", "legal"), request, PEOPLE) == ("large", "legal")
    assert eligible(person("ann", "sales"), request, PEOPLE) == ()


def test_a_rule_that_names_no_reviewers_has_none() -> None:
    """An empty list means nobody here, although it means everybody in a rule's match."""
    request = request_of(Person("urn:agents", "bot"), Requirement("open", (), 1))
    assert eligible(person("ann", "finance"), request, PEOPLE) == ()


@pytest.mark.parametrize(
    "requester",
    [
        Person(PEOPLE, "ann"),
        Person("urn:agents", "bot", owner="ann"),
        Person("urn:agents", "bot", delegator="ann"),
        Person(PEOPLE, "bot", owner="zoe", delegator="ann"),
    ],
)
def test_neither_requester_nor_owner_nor_delegator_may_review(requester: Person) -> None:
    """Whatever their groups; another person of the same group may."""
    request = request_of(requester)
    assert eligible(person("ann", "finance"), request, PEOPLE) == ()
    assert eligible(person("bob", "finance"), request, PEOPLE) == ("large",)


def test_a_requester_of_another_issuer_with_the_same_subject_is_another_one() -> None:
    """Subjects are compared within one issuer."""
    request = request_of(Person("urn:agents", "ann"))
    assert eligible(person("ann", "finance"), request, PEOPLE) == ("large",)


@pytest.mark.parametrize(
    "reviewer",
    [
        person("bob", "finance", issuer="urn:agents"),
        person("bob", "finance", issuer=""),
        person("bob", "finance", owner="zoe"),
        person("bob", "finance", delegator="zoe"),
    ],
)
def test_only_people_who_act_for_themselves_review(reviewer: Principal) -> None:
    """Another issuer's subjects, and whoever acts for somebody else, may not, whatever their groups."""
    assert eligible(reviewer, request_of(Person("urn:agents", "bot")), PEOPLE) == ()

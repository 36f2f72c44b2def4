"""Tests of conversion: every field arrives, what is unknown is refused, obligations leave on allow alone."""

from dataclasses import replace

import pytest

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock.v1 import action_pb2, approval_pb2, decision_pb2
from penstock_server.domain.approval import (
    ApprovalRequest,
    Grant,
    NewApproval,
    Person,
    Requirement,
    Review,
    State,
)
from penstock_server.domain.audit import AuditEntry, AuditEvent
from penstock_server.domain.errors import Code, PenstockError
from penstock_server.domain.policy import Mask, PrincipalMatch
from penstock_server.domain.principal import Principal
from penstock_server.operations.answers import Answer, CredentialGiven, Outcome, Question
from penstock_server.operations.interfaces import RevisionRow, SecretRow, ShimRow
from penstock_server.operations.redaction import Redactor
from penstock_server.operations.shown_action import shown_json
from penstock_server.rpc import convert

CALL = "0123456789abcdef" * 2


def _ask() -> decision_pb2.Ask:
    http = action_pb2.HttpRequest(
        method="POST",
        authority="b.example",
        path="/v1/x",
        query="a=b",
        headers=[action_pb2.Header(name="x-a", value=b"\xff"), action_pb2.Header(name="x-a", value=b"2")],
        body_state=action_pb2.BODY_STATE_WHOLE,
        body=b"\x00body",
    )
    action = action_pb2.Action(upstream="billing", http=http)
    return decision_pb2.Ask(call_id=CALL, token="t", action=action, session="s", can_hold=True)


def test_a_question_arrives_whole() -> None:
    """Repeated headers stay in order; bytes stay bytes."""
    headers = (("x-a", b"\xff"), ("x-a", b"2"))
    http = HttpRequest("POST", "b.example", "/v1/x", "a=b", headers, BodyState.WHOLE, b"\x00body")
    assert convert.ask_from_pb(_ask()) == Question(CALL, "t", Action("billing", http), "s", can_hold=True)


@pytest.mark.parametrize("call_id", ["", CALL[:-1], CALL + "0", CALL.upper(), " " + CALL[1:], CALL[:-1] + "\n"])
def test_a_call_id_that_is_none_is_refused(call_id: str) -> None:
    """It is the idempotency key of a grant's use."""
    ask = _ask()
    ask.call_id = call_id
    with pytest.raises(PenstockError) as refused:
        convert.ask_from_pb(ask)
    assert refused.value.code is Code.INVALID


@pytest.mark.parametrize("state", [action_pb2.BODY_STATE_UNSPECIFIED, 99])
def test_an_unknown_body_state_is_refused(state: "action_pb2.BodyState.ValueType") -> None:
    """Whether there is a body is never guessed."""
    ask = _ask()
    ask.action.http.body_state = state
    with pytest.raises(PenstockError, match="body_state"):
        convert.ask_from_pb(ask)


def test_an_action_without_a_known_protocol_is_refused() -> None:
    """A newer shim's, for example."""
    with pytest.raises(PenstockError, match="http"):
        convert.ask_from_pb(decision_pb2.Ask(call_id=CALL, action=action_pb2.Action(upstream="billing")))


FULL = Answer(
    call_id=CALL,
    outcome=Outcome.ALLOW,
    decision_id="dec_1",
    rule="reads",
    reason="why",
    credential=CredentialGiven("x-api-key", b"secret", ("a.example",)),
    masks=(Mask(detectors=("card",)), Mask(json="/a/*"), Mask(header="x-b")),
    mask_key=bytes(range(32)),
    approval="apr_1",
    hold_ms=5,
    expires_at_ms=6,
    policy_revision=3,
    epoch=4,
)


def test_an_allow_leaves_with_its_obligations() -> None:
    """Every field of them."""
    verdict = convert.verdict_to_pb(FULL)
    assert (verdict.outcome, verdict.decision_id, verdict.rule) == (decision_pb2.OUTCOME_ALLOW, "dec_1", "reads")
    assert (verdict.policy_revision, verdict.epoch, verdict.approval.name) == (3, 4, "apr_1")
    credential = verdict.obligations.credential
    assert (credential.header, credential.value, list(credential.hosts)) == ("x-api-key", b"secret", ["a.example"])
    assert verdict.obligations.mask_key == bytes(range(32))
    masks = [(list(mask.detectors), mask.json, mask.header) for mask in verdict.obligations.masks]
    assert masks == [(["card"], "", ""), ([], "/a/*", ""), ([], "", "x-b")]


@pytest.mark.parametrize("outcome", [Outcome.DENY, Outcome.PENDING, Outcome.NEED_BODY])
def test_no_other_answer_carries_obligations(outcome: Outcome) -> None:
    """Even if an operation had left them in it."""
    verdict = convert.verdict_to_pb(replace(FULL, outcome=outcome))
    assert not verdict.HasField("obligations")
    assert b"secret" not in verdict.SerializeToString()


def test_every_outcome_has_its_number() -> None:
    """None is UNSPECIFIED, which a shim takes for a denial."""
    numbers = {convert.verdict_to_pb(replace(FULL, outcome=outcome)).outcome for outcome in Outcome}
    assert len(numbers) == len(Outcome) and decision_pb2.OUTCOME_UNSPECIFIED not in numbers


def _request(body: bytes = b"{}") -> ApprovalRequest:
    action = Action("billing", HttpRequest("POST", "b", "/v1", "", (("a", b"1"),), BodyState.WHOLE, body))
    reviewers = (
        PrincipalMatch(group="finance"),
        PrincipalMatch(subject="ann"),
        PrincipalMatch(issuer="urn:i", owner="olga"),
    )
    new = NewApproval(
        id="apr_1",
        requester=Person("iss", "bot", "olga", "dora"),
        groups=("b", "a"),
        upstream="billing",
        digest=bytes(32),
        action_json=shown_json(action, Redactor(()), bytes(32)),
        requirements=(Requirement("large", reviewers, 2), Requirement("legal", (PrincipalMatch(group="l"),), 1)),
        reason="why",
        session="s",
        call_id="c",
        policy_revision=3,
        created_at_ms=1,
        expires_at_ms=2,
        grant_uses=1,
        grant_ttl_ms=1,
    )
    reviews = (
        Review(Person("iss", "ann"), True, "ok", 5, ("large", "legal")),
        Review(Person("iss", "bob"), False, "no", 6, ("large",)),
    )
    return ApprovalRequest(new, State.APPROVED, 7, reviews, Grant("grt_1", "apr_1", 4, 8, 9))


def test_a_request_leaves_whole() -> None:
    """Who asks for what, who said what, what is still missing, and what it gave."""
    found = convert.approval_to_pb(_request())
    assert (found.name, found.state, found.resolved_at_ms) == ("apr_1", approval_pb2.APPROVAL_STATE_APPROVED, 7)
    requester = found.requester
    assert (requester.subject, requester.owner, requester.delegator, list(requester.groups)) == (
        "bot",
        "olga",
        "dora",
        ["a", "b"],
    )
    assert (found.action.http.path, found.action.http.body, list(found.rules)) == ("/v1", b"{}", ["large", "legal"])
    assert [(one.reviewer.subject, one.approved, one.reason) for one in found.reviews] == [
        ("ann", True, "ok"),
        ("bob", False, "no"),
    ]
    assert [(one.rule, one.quorum, one.approved) for one in found.requirements] == [("large", 2, 1), ("legal", 1, 1)]
    assert [(one.group, one.subject, one.issuer, one.owner) for one in found.requirements[0].reviewers] == [
        ("finance", "", "", ""),
        ("", "ann", "", ""),
        ("", "", "urn:i", "olga"),
    ]
    assert (found.grant.name, found.grant.uses_left, found.grant.start_at_ms, found.grant.end_at_ms) == (
        "grt_1",
        4,
        8,
        9,
    )
    assert not convert.approval_to_pb(replace(_request(), grant=None)).HasField("grant")


def test_a_list_withholds_long_bodies_and_says_so() -> None:
    """The request itself shows them."""
    long = b"a" * 5000
    listed = convert.approval_to_pb(_request(long), listed=True).action.http
    assert (listed.body, listed.body_state) == (b"", action_pb2.BODY_STATE_WITHHELD)
    shown = convert.approval_to_pb(_request(long)).action.http
    assert (shown.body, shown.body_state) == (long, action_pb2.BODY_STATE_WHOLE)
    assert convert.approval_to_pb(_request(), listed=True).action.http.body == b"{}"


def test_every_state_has_its_number() -> None:
    """There and back; unspecified asks for what is pending, and another number is refused."""
    numbers = {convert.approval_to_pb(replace(_request(), state=state)).state for state in State}
    assert len(numbers) == len(State)
    assert {convert.state_from_pb(number) for number in numbers} == set(State)
    assert convert.state_from_pb(approval_pb2.APPROVAL_STATE_UNSPECIFIED) is State.PENDING
    with pytest.raises(PenstockError):
        convert.state_from_pb(99)


def test_rows_leave_without_what_is_secret() -> None:
    """Neither ciphertext nor the hash of a credential."""
    secret = convert.secret_to_pb(SecretRow("key", 2, ("a",), b"cipher", b"wrapped", "kek", 5))
    assert (secret.name, secret.version, list(secret.hosts), secret.created_at_ms) == ("key", 2, ["a"], 5)
    assert not any(part in secret.SerializeToString() for part in (b"cipher", b"wrapped", b"kek"))
    shim = convert.shim_to_pb(ShimRow("one", b"\x07" * 32, ("u",), ("g",), 5, 6))
    assert (shim.name, list(shim.upstreams), list(shim.groups), shim.revoked_at_ms) == ("one", ["u"], ["g"], 6)
    assert b"\x07\x07" not in shim.SerializeToString()
    assert convert.shim_to_pb(ShimRow("one", b"", (), (), 5)).revoked_at_ms == 0
    revision = convert.revision_to_pb(RevisionRow(3, "text", bytes(32), "ann", 5, active=True))
    assert (revision.number, revision.author, revision.active, revision.digest) == (3, "ann", True, bytes(32))


def test_an_entry_leaves_whole() -> None:
    """Header, body and hashes."""
    event = AuditEvent(
        id="evt_1",
        kind="decision",
        at_ms=5,
        actor=Principal("iss", "bot", frozenset({"b", "a"}), "olga", "dora"),
        upstream="billing",
        method="GET",
        resource="/é",
        effect="allow",
        decision_id="dec_1",
        call_id=CALL,
        rules=("one", "two"),
        reason="why",
        approval="apr_1",
        grant="grt_1",
        policy_revision=3,
        details={"b": 1, "a": [True]},
    )
    found = convert.entry_to_pb(AuditEntry("main", 9, event, b"leaf", b"chain"))
    assert (found.log, found.seq, found.id, found.kind, found.at_ms) == ("main", 9, "evt_1", "decision", 5)
    assert (found.actor.subject, list(found.actor.groups), found.actor.owner) == ("bot", ["a", "b"], "olga")
    assert (found.upstream, found.method, found.resource, found.effect) == ("billing", "GET", "/é", "allow")
    assert (found.decision_id, found.call_id, list(found.rules), found.reason) == ("dec_1", CALL, ["one", "two"], "why")
    assert (found.approval, found.grant, found.policy_revision) == ("apr_1", "grt_1", 3)
    assert (found.details_json, found.leaf_hash, found.chain_hash) == ('{"a":[true],"b":1}', b"leaf", b"chain")


def test_numbers_beyond_sql_are_cut() -> None:
    """Others stay."""
    assert [convert.number_from_pb(number) for number in (0, 5, 2**63 - 1, 2**63, 2**64 - 1)] == [
        0,
        5,
        2**63 - 1,
        2**63 - 1,
        2**63 - 1,
    ]

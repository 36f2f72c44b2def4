"""Tests of judging: whose token, which shim, which host, which rule; an allow gathers what it needs or is a denial."""

import hashlib
import json
from dataclasses import asdict, replace

import pytest

from penstock._core.describe import Action
from penstock_server.domain.audit import canonical_json
from penstock_server.operations.answers import Outcome
from penstock_server.operations.interfaces import ShimRow
from penstock_server.operations.judge import Judgement, shim_serves
from unit.penstock_server.operations.world import (
    ADMIN,
    AGENT,
    POLICY,
    SECRET,
    SHIM,
    World,
    a_world,
    http,
    refund,
    withheld,
)

pytestmark = pytest.mark.anyio


def _judged(world: World, action: Action, *, token: str = "bot", shim: ShimRow = SHIM, session: str = "") -> Judgement:
    question = replace(world.question(action, token=token), session=session)
    return world.judge.judge(world.active.current, shim, question)


async def test_an_agent_without_a_valid_token_is_denied(world: World) -> None:
    """The refusal's code is the token's trouble, and the entry names nobody."""
    for token in ("forged", ""):
        judged = _judged(world, http(), token=token)
        assert (judged.answer.outcome, judged.answer.code) == (Outcome.DENY, "token_invalid")
        assert judged.event.actor.subject == ""
    world.verifier.principals["bot"] = replace(AGENT, expires_at_ms=world.clock())
    assert _judged(world, http()).answer.code == "token_expired"


async def test_a_token_in_the_question_is_in_no_answer_and_no_entry(world: World) -> None:
    """Nor in any repr of them."""
    token = "tok" + "en-abc-123"
    world.verifier.principals[token] = AGENT
    for action in (http(), http("PUT"), refund()):
        judged = _judged(world, action, token=token)
        assert token not in repr(judged) + json.dumps(asdict(judged.event), default=str)


@pytest.mark.parametrize(
    ("shim", "serves"),
    [
        (SHIM, True),
        (replace(SHIM, upstreams=("billing",), groups=("agents", "x")), True),
        (replace(SHIM, upstreams=("mail",)), False),
        (replace(SHIM, groups=("robots",)), False),
        (replace(SHIM, upstreams=()), False),
        (replace(SHIM, groups=()), False),
        (replace(SHIM, revoked_at_ms=1), False),
    ],
)
async def test_a_shim_asks_only_for_what_it_is_enrolled_for(world: World, shim: ShimRow, serves: bool) -> None:
    """Upstream and group both; a revoked one for nothing."""
    assert shim_serves(shim, "billing", AGENT.groups) is serves
    judged = _judged(world, http(), shim=shim)
    assert judged.answer.outcome is (Outcome.ALLOW if serves else Outcome.DENY)
    assert serves or judged.answer.code == "shim_not_enrolled"


async def test_an_unknown_upstream_is_denied(world: World) -> None:
    """Whatever the shim is enrolled for."""
    assert _judged(world, http(upstream="nowhere")).answer.code == "upstream_unknown"


@pytest.mark.parametrize(
    "authority", ["", "evil.example", "billing.example:8443", "billing.example.", "BILLING.example"]
)
async def test_a_request_for_another_host_is_denied(world: World, authority: str) -> None:
    """A shim with an older configuration cannot take a new policy's answer to its old host."""
    judged = _judged(world, http(authority=authority))
    assert (judged.answer.code, judged.answer.credential) == ("host_refused", None)


async def test_a_body_is_demanded_before_anything_is_decided() -> None:
    """An approval binds the whole of it."""
    world = await a_world()
    judged = _judged(world, withheld(refund()))
    assert (judged.answer.outcome, judged.answer.need_body_max) == (Outcome.NEED_BODY, 1 << 20)
    assert (judged.answer.credential, judged.answer.decision_id) == (None, "")


async def test_a_secret_that_is_not_stored_denies(world: World) -> None:
    """Nothing is sent without the credential that the policy names."""
    del world.secrets.rows["billing-key"]
    await world.active.reload()
    assert _judged(world, http()).answer.code == "secret_missing"
    assert _judged(world, http(upstream="plain")).answer.outcome is Outcome.ALLOW


async def test_a_secret_that_cannot_be_read_denies(world: World) -> None:
    """Also what a human would have to agree to; upstreams without it go on."""
    world.secrets.rows["billing-key"] = replace(world.secrets.rows["billing-key"], wrapped_key=bytes(60))
    await world.active.reload()
    for action in (http(), refund()):
        answer = _judged(world, action).answer
        assert (answer.outcome, answer.code, answer.credential) == (Outcome.DENY, "secret_unreadable", None)
    assert _judged(world, http(upstream="plain")).answer.outcome is Outcome.ALLOW


async def test_a_gated_action_is_only_a_draft(world: World) -> None:
    """It is marked so, and carries what it would be allowed with."""
    judged = _judged(world, refund())
    assert judged.gated and judged.answer.credential is not None
    assert not _judged(world, http()).gated


async def test_an_upstream_without_a_credential_gets_none(world: World) -> None:
    """And the credential carries its hosts, for the shim to check."""
    assert _judged(world, http(upstream="plain")).answer.credential is None
    credential = _judged(world, http()).answer.credential
    assert credential is not None
    assert (credential.header, credential.hosts) == ("x-api-key", ("billing.example",))
    assert SECRET not in repr(_judged(world, http()).answer)


async def test_a_planted_secret_is_in_no_text_of_the_entry(world: World) -> None:
    """Path, query and session are masked, and so is the reason that repeats the path."""
    path = f"/v1/{SECRET}/x"
    for method in ("GET", "PUT", "DELETE", "POST"):
        judged = _judged(world, http(method, path, query=f"q={SECRET}"), session=SECRET)
        text = json.dumps(asdict(judged.event), default=str)
        assert SECRET not in text, (method, text)
        assert "«billing-key:" in judged.event.resource
        assert judged.event.details["query"].startswith("q=«")
        assert SECRET not in judged.answer.reason


async def test_a_long_path_is_logged_by_its_start_and_a_hash(world: World) -> None:
    """An agent cannot grow the log at will, and the entry still tells which path it was."""
    path = "/v1/" + "x" * 50_000
    event = world.judge.judge(world.active.current, SHIM, world.question(http(path=path))).event
    assert event.resource.startswith("/v1/xxx") and len(event.resource) < 2300
    assert hashlib.sha256(path.encode()).hexdigest() in event.resource


async def test_a_leaked_key_that_nobody_stored_is_masked_too(world: World) -> None:
    """The detectors of credentials look at what is logged."""
    leaked = "AKIA" + "ABCDEFGHIJKLMNOP"
    judged = _judged(world, http("PUT", "/v1/x", query=f"key={leaked}"))
    assert leaked not in json.dumps(asdict(judged.event), default=str)


async def test_tokens_of_masks_tell_values_apart_for_one_principal(world: World) -> None:
    """The key is the same for the same upstream and principal, and for no other."""
    other = replace(AGENT, subject="other")
    keys = {
        world.judge.mask_key(upstream, principal) for upstream in ("billing", "plain") for principal in (AGENT, other)
    }
    assert len(keys) == 4
    assert world.judge.mask_key("billing", AGENT) in keys
    assert _judged(world, http()).answer.mask_key == world.judge.mask_key("billing", AGENT)


async def test_an_entry_explains_the_decision(world: World) -> None:
    """Who, what, by which rules of which revision, through which shim."""
    judged = _judged(world, http("DELETE", "/v1/x", query="a=b"), session="s-1")
    event = judged.event
    assert (event.actor, event.upstream, event.method, event.resource) == (AGENT, "billing", "DELETE", "/v1/x")
    assert (event.rules, event.reason, event.policy_revision) == (("no-deletes",), "nothing is deleted here", 1)
    assert event.details["shim"] == "one" and event.details["session"] == "s-1"
    assert event.details["code"] == judged.answer.code == "policy_denied"
    assert event.decision_id == judged.answer.decision_id


async def test_what_a_shadow_rule_would_have_done_is_noted_and_not_done() -> None:
    """So that a rule can be tried."""
    shadow = "  - {name: try, match: {http: {methods: [GET]}}, effect: deny, mode: shadow}\n"
    world = await a_world(POLICY + shadow)
    judged = _judged(world, http())
    assert judged.answer.outcome is Outcome.ALLOW
    assert json.loads(canonical_json(judged.event.details))["shadow"] == [["try", "deny"]]


async def test_the_session_that_the_token_vouches_for_is_told_from_a_label(world: World) -> None:
    """The label is whatever the client says; the other one is there only if the token has it."""
    details = _judged(world, http(), session="any label").event.details
    assert details["session"] == "any label" and "verified_session" not in details
    world.verifier.principals["bot"] = replace(AGENT, session="run-7")
    details = _judged(world, http(), session="run-8").event.details
    assert (details["session"], details["verified_session"]) == ("run-8", "run-7")


async def test_people_are_judged_like_agents(world: World) -> None:
    """A token of a person opens nothing that no rule gives it."""
    world.verifier.principals["root"] = ADMIN
    assert _judged(world, http(), token="root").answer.code == "no_rule"

"""The demo, played once; each test looks at the evidence of one step, apart from the demo's own checks."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.billing import CARD, EMAIL, IBAN, LEAKED_KEY
from e2e.demo import play
from e2e.stage import Answer, Stage, Step

pytestmark = pytest.mark.timeout(180)


class Played:
    """Holds what the demo left behind: evidence by step and the transcript."""

    def __init__(self, stage: Stage, transcript: str) -> None:
        self.stage = stage
        self.transcript = transcript

    def step(self, number: int) -> Step:
        """Returns the evidence of a step, counted from 1 as in the transcript."""
        return self.stage.steps[number - 1]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Plays the whole demo in a fresh folder."""
    out = io.StringIO()
    stage = Stage(tmp_path_factory.mktemp("demo"), out)
    try:
        play(stage)
    except Exception as failure:
        raise AssertionError(f"{failure}\n{stage.logs()}\n{out.getvalue()}") from failure
    yield Played(stage, out.getvalue())


def _decisions(step: Step) -> list[dict[str, Any]]:
    return [entry for entry in step.audit if entry["kind"] == "decision"]


def _seen(answer: Answer) -> str:
    """Returns all that the agent got, as text."""
    return repr(answer.headers) + answer.body.decode()


def test_an_allowed_request_gets_the_credential_that_the_agent_never_had(played: Played) -> None:
    """The upstream logged the key in x-api-key, and neither the agent's token nor its header."""
    step = played.step(1)
    head = step.upstream[0].decode().lower()
    assert step.answers[0].status == 200
    assert head.startswith("get /v1/invoices?page=1 http/1.1\r\n")
    assert f"x-api-key: {played.stage.key}" in head
    assert "authorization" not in head
    assert [(entry["effect"], entry["rules"]) for entry in _decisions(step)] == [("allow", ["agents-read"])]


def test_a_record_is_masked_and_otherwise_as_it_was(played: Played) -> None:
    """Personal data and the leaked key are replaced in place; identifiers, names of fields and the shape stay."""
    body = played.step(2).answers[0].body.decode()
    assert not [value for value in (EMAIL, CARD, IBAN, LEAKED_KEY, played.stage.key) if value in body]
    first, second = json.loads(body)["customers"]
    assert (first["id"], first["plan"], second["id"]) == ("cus_1", "yearly", "cus_2")
    assert all(first[name].startswith("«") and first[name].endswith("»") for name in ("email", "card", "iban"))
    assert second["notes"].startswith("migrated with «") and second["notes"].endswith("» in March")


def test_the_upstreams_own_key_comes_back_masked(played: Played) -> None:
    """An echo of the request's headers names the secret instead of showing it."""
    step = played.step(3)
    assert played.stage.key not in _seen(step.answers[0])
    assert json.loads(step.answers[0].body)["headers"]["x-api-key"].startswith("«billing-key:")


def test_a_secret_split_over_events_is_masked(played: Played) -> None:
    """Neither key is in the joined text, and the events are still events, the last one included."""
    body = played.step(4).answers[0].body.decode()
    events = [json.loads(line[5:]) for line in body.splitlines() if line.startswith("data:")]
    text = "".join(event.get("text", "") for event in events)
    assert played.stage.key not in text and LEAKED_KEY not in text
    assert text.startswith("Support bot: I call billing with «billing-key:") and text.endswith("», bye.")
    assert events[-1] == {"end": True}


def test_a_denial_names_rule_and_reason_and_forwards_nothing(played: Played) -> None:
    """DELETE is a 403 problem document; the upstream logged nothing and the audit log holds the denial."""
    step = played.step(5)
    problem = json.loads(step.answers[0].body)
    assert (step.answers[0].status, problem["code"], problem["rule"]) == (403, "policy_denied", "no-deletes")
    assert step.answers[0].headers["content-type"].startswith("application/problem+json")
    assert step.upstream == []
    assert [(entry["effect"], entry["method"]) for entry in _decisions(step)] == [("deny", "DELETE")]


def test_a_held_refund_completes_once_it_is_approved(played: Played) -> None:
    """One request, one connection: pending in the log first, then approved by a person, then allowed and forwarded."""
    step = played.step(6)
    assert [answer.status for answer in step.answers] == [201]
    assert len(step.upstream) == 1 and step.upstream[0].startswith(b"POST /v1/refunds HTTP/1.1\r\n")
    assert [entry["effect"] for entry in _decisions(step)] == ["pending", "allow"]
    assert any(entry["kind"] == "approval.approved" for entry in step.audit)
    assert len({entry["approval"] for entry in _decisions(step)}) == 1


def test_the_grant_is_spent_so_that_the_same_refund_is_held_again(played: Played) -> None:
    """Nobody approves: 403 approval_pending that names another approval request, and nothing is forwarded."""
    step = played.step(7)
    problem = json.loads(step.answers[0].body)
    assert (step.answers[0].status, problem["code"]) == (403, "approval_pending")
    assert problem["approval"] not in {entry["approval"] for entry in played.step(6).audit}
    assert step.upstream == []
    assert [entry["effect"] for entry in _decisions(step)] == ["pending"]


def test_without_the_service_everything_is_refused(played: Played) -> None:
    """The service was killed: 503 without a retry, nothing forwarded, and nothing that claims to be a decision."""
    step = played.step(8)
    assert step.answers[0].status == 503
    assert step.answers[0].headers["x-should-retry"] == "false"
    assert step.upstream == []
    assert _decisions(step) == []


def test_the_transcript_shows_raw_requests_beside_audit_entries(played: Played) -> None:
    """A person can read what the upstream got, what was logged, and the audit list after a restart."""
    assert played.transcript.count("the upstream logged, raw:") == 8
    assert f"x-api-key: {played.stage.key}" in played.transcript
    assert "auditor$ penstock-server audit list" in played.transcript
    assert played.transcript.endswith("All 9 steps did what they say.\n")
    assert played.stage.system.tokens["agent"] not in played.transcript

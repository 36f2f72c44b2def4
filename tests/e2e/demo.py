"""Plays an agent through the deployed processes and prints what happened, step by step; `make demo` runs it.

Service, shim and billing API are three processes; this one is the agent and, with their tokens, the people. Every step
checks itself: the exit status is 0 only if all of it held, 1 with one line of explanation if something did not.
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e.billing import CARD, EMAIL, IBAN, LEAKED_KEY
from e2e.stage import DemoFailed, Stage, Step, indented

__all__ = ["HOLD_S", "POLICY", "play"]

HOLD_S = 10
"""How long the policy of the demo holds a refund, seconds."""

POLICY = f"""\
secrets: [billing-key]
upstreams:
  billing:
    url: http://127.0.0.1:PORT
    addresses: private # it runs on this machine
    credential: {{secret: billing-key, header: x-api-key, format: "{{}}"}}
rules:
  - name: agents-read
    match: {{principals: [{{group: agents}}], upstreams: [billing], http: {{methods: [GET]}}}}
    effect: allow
  - name: customers-are-private
    match: {{upstreams: [billing], http: {{paths: ["/v1/customers/**", "/v1/customers", "/v1/events"]}}}}
    effect: mask
    mask: [{{detectors: [all]}}, {{json: /customers/*/iban}}]
  - name: no-deletes
    match: {{upstreams: [billing], http: {{methods: [DELETE]}}}}
    effect: deny
    reason: customers are never deleted by agents
  - name: refunds-need-a-human
    match: {{principals: [{{group: agents}}], upstreams: [billing], http: {{methods: [POST], paths: ["/v1/refunds"]}}}}
    when: request.json.amount > 100
    effect: require_approval
    reason: refunds over 100 are looked at by a person
    approval: {{reviewers: [{{group: approvers}}], hold: {HOLD_S}s, pending_ttl: 10m, grant: {{uses: 1, ttl: 5m}}}}
"""


def play(stage: Stage) -> None:
    """Plays all steps; raises DemoFailed at the first claim that does not hold. Ends the processes either way."""
    try:
        stage.start(POLICY)
        for scene in (
            _allowed,
            _masked,
            _echoed,
            _streamed,
            _denied,
            _held_and_granted,
            _held_again,
            _stopped,
            _audit_list,
        ):
            scene(stage)
    finally:
        stage.close()


def _allowed(stage: Stage) -> None:
    step = stage.step("An allowed request: the agent has no API key, the upstream gets one")
    answer = stage.ask(step, "GET", "/billing/v1/invoices?page=1")
    stage.check(answer.status == 200, "the request was allowed and answered")
    stage.evidence(step)
    stage.check(stage.key.encode() in step.upstream[0], "the upstream received its API key, put in by the shim")
    token = stage.system.tokens["agent"].encode()
    stage.check(token not in step.upstream[0], "the agent's own token was not forwarded")


def _masked(stage: Stage) -> None:
    step = stage.step("Customer records: personal data, and a key that somebody left in a note, are masked")
    body = stage.ask(step, "GET", "/billing/v1/customers").body.decode()
    for value, what in ((EMAIL, "e-mail address"), (CARD, "card number"), (IBAN, "IBAN"), (LEAKED_KEY, "key")):
        stage.check(value not in body, f"the {what} did not reach the agent")
    customers = json.loads(body)["customers"]
    stage.check(customers[0]["plan"] == "yearly" and customers[0]["id"] == "cus_1", "the rest is as it was sent")
    stage.evidence(step)


def _echoed(stage: Stage) -> None:
    step = stage.step("The upstream echoes its request headers: its own key comes back masked")
    echoed = json.loads(stage.ask(step, "GET", "/billing/v1/echo").body)["headers"]
    stage.check(stage.key not in json.dumps(echoed), "the API key did not reach the agent")
    stage.check("«billing-key:" in echoed.get("x-api-key", ""), "in its place stands a token that names the secret")
    stage.evidence(step)


def _streamed(stage: Stage) -> None:
    step = stage.step("Server-sent events, with both keys cut into pieces of five characters")
    answer = stage.ask(step, "GET", "/billing/v1/events")
    text = _event_text(answer.body)
    stage.say(f"    the text of the events, joined: {text}")
    stage.check(stage.key not in text and LEAKED_KEY not in text, "neither key can be put together again")
    stage.check("«billing-key:" in text and text.count("«") == 2, "both are masked, each by one replacement")
    stage.check(text.startswith("Support bot: I call billing with ") and text.endswith(", bye."), "the rest came")
    stage.evidence(step)


def _denied(stage: Stage) -> None:
    step = stage.step("A request that policy denies")
    answer = stage.ask(step, "DELETE", "/billing/v1/customers/cus_1")
    problem = json.loads(answer.body)
    stage.check(answer.status == 403 and problem["code"] == "policy_denied", "refused with 403 policy_denied")
    stage.check(problem["rule"] == "no-deletes", "the answer names the rule")
    stage.check("customers are never deleted by agents" in answer.body.decode(), "and gives its reason")
    stage.evidence(step)
    stage.check(step.upstream == [], "nothing was forwarded")


def _held_and_granted(stage: Stage) -> None:
    step = stage.step("A refund is held until a person grants it")
    waiting = threading.Thread(target=_refund, args=(stage, step))
    waiting.start()
    try:
        name = stage.until(stage.pending, "an approval request appeared")
        stage.say(f"    (the agent's request is still waiting)\n\n    approver$ penstock approvals show {name}")
        stage.say(indented(stage.penstock("approvals", "show", name), 6))
        stage.check(not step.answers, "the agent's request is held: no answer yet")
        stage.say(f"    approver$ penstock approvals approve {name} --reason 'seen the invoice'")
        stage.say(indented(stage.penstock("approvals", "approve", name, "--reason", "seen the invoice"), 6))
    finally:
        waiting.join()
    stage.check(
        bool(step.answers) and step.answers[0].status == 201, "the held request then completed, on the same connection"
    )
    stage.evidence(step)
    stage.check(len(step.upstream) == 1, "the upstream saw one refund")


def _held_again(stage: Stage) -> None:
    step = stage.step("The same refund again: the grant was good for one use, and nobody approves this time")
    stage.say(f"    (held for {HOLD_S} s)")
    began = time.monotonic()
    _refund(stage, step)
    answer = step.answers[0]
    stage.check(time.monotonic() - began > HOLD_S / 2, "it was held")
    problem = json.loads(answer.body)
    stage.check(answer.status == 403 and problem["code"] == "approval_pending", "then 403 approval_pending")
    stage.check(
        bool(problem["approval"]) and "retry-after" in answer.headers, "it names the approval, and when to retry"
    )
    stage.evidence(step)
    stage.check(step.upstream == [], "nothing was forwarded")


def _stopped(stage: Stage) -> None:
    step = stage.step("The policy service is killed (SIGKILL): no answer is no")
    stage.system.kill_service()
    answer = stage.ask(step, "GET", "/billing/v1/customers")
    code = json.loads(answer.body)["code"]
    stage.check(answer.status == 503 and code.endswith("_unavailable"), f"refused with 503 {code}")
    stage.check(answer.headers.get("x-should-retry") == "false", "the agent is told not to hammer")
    stage.say("\n    The service is started again.")
    stage.system.start_service()
    stage.evidence(step)
    stage.check(step.upstream == [], "nothing was forwarded")


def _audit_list(stage: Stage) -> None:
    stage.step("The audit log, after all that")
    stage.say("    auditor$ penstock-server audit list")
    stage.say(indented(stage.system.command("audit", "list", token="auditor"), 6))
    logged = [entry for step in stage.steps for entry in step.audit if entry["kind"] == "decision"]
    for effect in ("allow", "deny", "pending"):
        stage.check(any(entry["effect"] == effect for entry in logged), f"it holds decisions to {effect}")
    stage.say(f"\nAll {len(stage.steps)} steps did what they say.")


def _refund(stage: Stage, step: Step) -> None:
    stage.ask(step, "POST", "/billing/v1/refunds", {"customer": "cus_1", "amount": 250})


def _event_text(body: bytes) -> str:
    """Returns the joined text of the delta events, as a client would put it together."""
    data = [line.removeprefix("data:") for line in body.decode().splitlines() if line.startswith("data:")]
    return "".join(json.loads(event).get("text", "") for event in data)


def main() -> int:
    """Plays the demo in a fresh folder; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder:
        stage = Stage(Path(folder), sys.stdout)
        try:
            play(stage)
        except (DemoFailed, AssertionError, LookupError, OSError, ValueError) as failure:
            print(f"\ndemo failed: {failure}\n{stage.logs()}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

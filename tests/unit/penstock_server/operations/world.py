"""All operations of the service over fakes, a policy, and the people and agents of the tests."""

import json
from dataclasses import dataclass, field, replace

from penstock._core.describe import Action, BodyState, HttpRequest
from penstock._core.mask import detector_ids
from penstock_server.conditions import compile_condition
from penstock_server.document import diff, parse, rule_rows
from penstock_server.domain.approval import ApprovalRequest
from penstock_server.domain.audit import AuditEvent
from penstock_server.domain.principal import Principal
from penstock_server.identity import DEV_ISSUER, DevIssuer
from penstock_server.operations.active import ActiveState
from penstock_server.operations.answers import Answer, Question
from penstock_server.operations.decide import Decisions, Held
from penstock_server.operations.enrolment import Enrolment
from penstock_server.operations.environment import CompiledPolicy
from penstock_server.operations.gate import Gate
from penstock_server.operations.holds import Holds
from penstock_server.operations.interfaces import ShimRow
from penstock_server.operations.journal import Journal
from penstock_server.operations.judge import Judge
from penstock_server.operations.policies import Policies
from penstock_server.operations.recording import Recordings
from penstock_server.operations.review import Reviews
from penstock_server.operations.secret_keeping import Secrets
from penstock_server.operations.token_issue import Tokens
from penstock_server.vault import Keyring
from unit.penstock_server.operations.fakes import (
    MemoryApprovals,
    MemoryFrames,
    MemoryLog,
    MemoryPolicies,
    MemorySecrets,
    MemoryShims,
    TableVerifier,
    Time,
    numbered_ids,
)

__all__ = [
    "ADMIN",
    "AGENT",
    "NOTHING",
    "POLICY",
    "SECRET",
    "SHIM",
    "World",
    "a_world",
    "call_id",
    "compiler",
    "http",
    "refund",
    "withheld",
]

FOREVER = 2**60
SECRET = "billing" + "-key-0123456789"
"""The stored secret's value."""

ADMIN = Principal(DEV_ISSUER, "root", frozenset({"admins"}), expires_at_ms=FOREVER)
AGENT = Principal(DEV_ISSUER, "bot", frozenset({"agents"}), owner="olga", delegator="dora", expires_at_ms=FOREVER)
SHIM = ShimRow("one", bytes(32), ("*",), ("*",), 1)

POLICY = """\
secrets: [billing-key]
upstreams:
  billing:
    url: https://billing.example/base
    credential: {secret: billing-key, header: x-api-key, format: "key {}"}
  plain: {url: "https://plain.example"}
rules:
  - name: reads
    match: {principals: [{group: agents}], http: {methods: [GET]}}
    effect: allow
  - name: masks
    match: {http: {paths: ["/v1/customers/**"]}}
    effect: mask
    mask: [{detectors: [all]}]
  - name: no-deletes
    match: {http: {methods: [DELETE]}}
    effect: deny
    reason: nothing is deleted here
  - name: refunds
    match: {principals: [{group: agents}], http: {methods: [POST], paths: ["/v1/refunds"]}}
    effect: require_approval
    reason: refunds are looked at
    approval: {reviewers: [{group: finance}], pending_ttl: 10m, hold: 60s, grant: {uses: 1, ttl: 5m}}
"""

NOTHING = "upstreams:\n  billing: {url: 'https://billing.example'}\nrules: []\n"
"""A policy that allows nothing."""


def compiler(document: str) -> CompiledPolicy:
    """Compiles a document as the service does."""
    parsed = parse(document, compile_condition=compile_condition, detectors=detector_ids())
    return CompiledPolicy(parsed.policy, parsed.warnings)


def call_id(number: int) -> str:
    """Returns the call id of that number."""
    return f"{number:032x}"


def http(method: str = "GET", path: str = "/v1/x", *, upstream: str = "billing", **fields: object) -> Action:
    """Returns an action; the authority is the upstream's own unless given."""
    fields.setdefault("authority", f"{upstream}.example")
    return Action(upstream, HttpRequest(method=method, path=path, **fields))  # type: ignore[arg-type] # named by tests


def refund(amount: int = 250, *, upstream: str = "billing", **fields: object) -> Action:
    """Returns the action that a human must approve."""
    body = json.dumps({"amount": amount}).encode()
    fields.setdefault("headers", (("content-type", b"application/json"),))
    return http("POST", "/v1/refunds", upstream=upstream, body_state=BodyState.WHOLE, body=body, **fields)


def withheld(action: Action) -> Action:
    """Returns the action as a shim describes it before the service has asked for its body."""
    return replace(action, http=replace(action.http, body_state=BodyState.WITHHELD, body=b""))


@dataclass
class World:
    """Holds the operations, the fakes under them, and what was delivered and held."""

    clock: Time
    policies: MemoryPolicies
    log: MemoryLog
    secrets: MemorySecrets
    shims: MemoryShims
    approvals: MemoryApprovals
    frames: MemoryFrames
    verifier: TableVerifier
    vault: Keyring
    active: ActiveState
    journal: Journal
    judge: Judge
    gate: Gate
    decisions: Decisions
    holds: Holds
    reviews: Reviews
    enrolment: Enrolment
    policy: Policies
    keeping: Secrets
    recordings: Recordings
    tokens: Tokens
    answers: list[Answer] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def person(self, subject: str, *groups: str, issuer: str = DEV_ISSUER) -> Principal:
        """Returns a person of the people issuer whose token is the subject's name."""
        principal = Principal(issuer, subject, frozenset(groups), expires_at_ms=FOREVER)
        self.verifier.principals[subject] = principal
        return principal

    def question(self, action: Action, number: int = 1, *, token: str = "bot", can_hold: bool = False) -> Question:
        """Returns the question of that number."""
        return Question(call_id(number), token, action, can_hold=can_hold)

    async def ask(self, action: Action, number: int = 1, *, token: str = "bot", shim: ShimRow = SHIM) -> Answer:
        """Returns the answer to one question."""
        return await self.decisions.one(shim, self.question(action, number, token=token))

    async def hold(self, action: Action, number: int = 1) -> Held:
        """Asks as a shim that can hold; returns the held call."""
        asked = [self.question(action, number, can_hold=True)]
        await self.decisions.batch(SHIM, asked, self.answers.append, self.held.append)
        return self.held[-1]

    async def review(self, name: str, *, approved: bool = True, who: str = "ann", reason: str = "") -> ApprovalRequest:
        """Decides as a person of the finance group."""
        person = self.person(who, "finance")
        return await self.reviews.decide(person, name, approved=approved, reason=reason)

    async def elsewhere(self, document: str) -> None:
        """Applies a policy as another replica does: this process is not told."""
        row, _ = await self.policies.active()
        await self.policies.add(
            document=document,
            rules=(),
            digest=bytes(32),
            author="",
            at_ms=1,
            expected_active=row.number if row else 0,
        )

    def last(self) -> AuditEvent:
        """Returns the newest audit event."""
        return self.log.events[-1]


async def a_world(policy: str = POLICY, *, max_pending: int = 20, hosts_from_policy: bool = False) -> World:
    """Returns a world with that policy active, its secret stored, and the agent's token known."""
    clock, new_id, vault = Time(), numbered_ids(), Keyring(bytes(range(32)))
    policies, verifier = MemoryPolicies(), TableVerifier({"bot": AGENT, "root": ADMIN})
    log, secrets, shims = MemoryLog(policies), MemorySecrets(policies), MemoryShims(policies)
    approvals, frames = MemoryApprovals(), MemoryFrames()
    active = ActiveState(policies, secrets, shims, vault, compiler)
    journal = Journal(log, clock, new_id)
    judge = Judge(verifier, vault, clock, new_id, 1 << 20)
    gate = Gate(approvals, clock, new_id, max_pending=max_pending, denial_stands_ms=600_000)
    decisions = Decisions(active, judge, gate, log)
    holds = Holds(approvals, decisions, journal, clock)
    world = World(
        clock=clock,
        policies=policies,
        log=log,
        secrets=secrets,
        shims=shims,
        approvals=approvals,
        frames=frames,
        verifier=verifier,
        vault=vault,
        active=active,
        journal=journal,
        judge=judge,
        gate=gate,
        decisions=decisions,
        holds=holds,
        reviews=Reviews(approvals, active, vault, journal, holds, clock, new_id, DEV_ISSUER),
        enrolment=Enrolment(shims, active, journal, clock),
        policy=Policies(policies, active, journal, clock, compiler, diff, rule_rows),
        keeping=Secrets(secrets, active, vault, journal, clock, hosts_from_policy=hosts_from_policy),
        recordings=Recordings(frames, active, vault),
        tokens=Tokens(DevIssuer(bytes(range(32))), journal, clock),
    )
    await shims.add(SHIM)
    if policy:
        await world.policy.apply(ADMIN, policy, dry_run=False)
    await world.keeping.put(
        ADMIN, name="billing-key", value=SECRET.encode(), hosts=("billing.example",), use_policy_hosts=False
    )
    log.events.clear()
    return world

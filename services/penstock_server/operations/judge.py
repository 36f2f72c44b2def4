"""Judges one question against one active state: verify the token, check the shim, evaluate, gather what an allow needs.

Pure of I/O: what comes out is an answer and the audit event that must be on disk before the answer leaves.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from penstock._core.describe import authority_of
from penstock_server.domain.audit import AuditEvent
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.evaluate import Evaluation
from penstock_server.domain.evaluate import Outcome as Finding
from penstock_server.domain.policy import Upstream
from penstock_server.domain.principal import Principal
from penstock_server.operations.active import Active
from penstock_server.operations.answers import Answer, CredentialGiven, Outcome, Question
from penstock_server.operations.environment import Clock, NewId, TokenVerifier, Vault
from penstock_server.operations.interfaces import ShimRow

__all__ = ["NOBODY", "Judge", "Judgement", "shim_serves"]

NOBODY = Principal(issuer="", subject="")
"""Stands for the actor where the token did not tell."""

LOGGED_CHARACTERS = 2048
"""Longest path or query that an entry holds whole; of longer ones the start and a hash."""

ANY = "*"
"""In a shim's enrolment: every upstream, or every group."""


@dataclass(slots=True)  # read only, but not frozen: that makes it four times as dear to create, and each ask does
class Judgement:
    """Holds an answer that is not given yet. gated: a human must agree; the answer is then only a draft."""

    question: Question
    principal: Principal
    answer: Answer
    event: AuditEvent
    evaluation: Evaluation | None = None
    gated: bool = False
    mask_key: bytes = b""


class Judge:
    """Judges questions; see the module's docstring. max_body: largest body in bytes that is read."""

    def __init__(self, verifier: TokenVerifier, vault: Vault, clock: Clock, new_id: NewId, max_body: int) -> None:
        self._verifier = verifier
        self._vault = vault
        self._clock = clock
        self._new_id = new_id
        self._max_body = max_body
        self._mask_keys: dict[tuple[str, str, str], bytes] = {}

    def judge(self, active: Active, shim: ShimRow, question: Question) -> Judgement:
        """Returns what would be answered now, by this state."""
        now = self._clock()
        try:
            principal = self._verifier.verify(question.token, now)
        except PenstockError as error:
            return self.refuse(active, shim, question, NOBODY, error.reason.lower(), error.message)
        name = question.action.upstream
        if shim.name in active.revoked or not shim_serves(shim, name, principal.groups):
            why = f"this shim is not enrolled for upstream {name} and one of your groups: ask its admin to enrol it"
            return self.refuse(active, shim, question, principal, "shim_not_enrolled", why)
        upstream = active.snapshot.upstream(name)
        if upstream is None:
            why = f"the active policy has no upstream {name}: ask its admin"
            return self.refuse(active, shim, question, principal, "upstream_unknown", why)
        if question.action.http.authority != authority_of(upstream.url):
            why = f"the request is for another host than upstream {name} has now: send it again"
            return self.refuse(active, shim, question, principal, "host_refused", why)
        evaluation = active.snapshot.evaluate(principal, question.action, now)
        if evaluation.outcome is Finding.NEED_BODY:
            answer = Answer(
                question.call_id, Outcome.NEED_BODY, need_body_max=self._max_body, epoch=active.snapshot.epoch
            )
            return Judgement(question, principal, answer, self._event(active, shim, question, principal), evaluation)
        if evaluation.outcome is Finding.DENY:
            return self.refuse(
                active, shim, question, principal, evaluation.code, evaluation.reason, evaluation.rule, evaluation
            )
        return self._permit(active, shim, question, principal, upstream, evaluation)

    def refuse(
        self,
        active: Active,
        shim: ShimRow,
        question: Question,
        principal: Principal,
        code: str,
        reason: str,
        rule: str = "",
        evaluation: Evaluation | None = None,
    ) -> Judgement:
        """Returns a denial with that code and one line for people."""
        rules = evaluation.rules if evaluation else ()
        event = self._event(active, shim, question, principal, evaluation, "deny", rules, reason, code)
        answer = Answer(
            question.call_id,
            Outcome.DENY,
            decision_id=event.decision_id,
            code=code,
            rule=rule,
            reason=event.reason,
            policy_revision=active.snapshot.revision,
            epoch=active.snapshot.epoch,
        )
        return Judgement(question, principal, answer, event, evaluation)

    def _permit(
        self,
        active: Active,
        shim: ShimRow,
        question: Question,
        principal: Principal,
        upstream: Upstream,
        evaluation: Evaluation,
    ) -> Judgement:
        """Returns an allow with its obligations, or a draft of one where a human must agree first."""
        credential: CredentialGiven | None = None
        if upstream.credential is not None:
            use = upstream.credential
            if use.secret in active.unreadable:
                why = f"secret {use.secret} of upstream {upstream.name} cannot be read: ask who keeps it to put it anew"
                return self.refuse(active, shim, question, principal, "secret_unreadable", why, "", evaluation)
            secret = active.secrets.get(use.secret)
            if secret is None:
                why = (
                    f"secret {use.secret} of upstream {upstream.name} is not stored: ask for `secret put {use.secret}`"
                )
                return self.refuse(active, shim, question, principal, "secret_missing", why, "", evaluation)
            if question.action.http.authority not in secret.hosts:
                host = question.action.http.authority
                why = f"secret {use.secret} may not be sent to {host}: ask who keeps the secrets"
                return self.refuse(active, shim, question, principal, "secret_host_refused", why, "", evaluation)
            credential = active.given.get(upstream.name)
            if credential is None:
                value = use.format.replace("{}", secret.value.decode("latin-1")).encode("latin-1")
                credential = active.given[upstream.name] = CredentialGiven(use.header, value, secret.hosts)
        mask_key = self.mask_key(upstream.name, principal)
        event = self._event(active, shim, question, principal, evaluation, "allow", evaluation.rules, evaluation.reason)
        answer = Answer(
            question.call_id,
            Outcome.ALLOW,
            decision_id=event.decision_id,
            rule=evaluation.rule,
            credential=credential,
            masks=evaluation.masks,
            mask_key=mask_key,
            policy_revision=active.snapshot.revision,
            epoch=active.snapshot.epoch,
        )
        gated = evaluation.outcome is Finding.REQUIRE_APPROVAL
        return Judgement(question, principal, answer, event, evaluation, gated, mask_key)

    def mask_key(self, upstream: str, principal: Principal) -> bytes:
        """Returns the key of mask tokens of one upstream and principal, 32 bytes; remembered."""
        scope = (upstream, principal.issuer, principal.subject)
        key = self._mask_keys.get(scope)
        if key is None:
            if len(self._mask_keys) > 4096:
                self._mask_keys.clear()
            key = self._mask_keys[scope] = self._vault.mask_key(upstream, principal)
        return key

    def _event(
        self,
        active: Active,
        shim: ShimRow,
        question: Question,
        principal: Principal,
        evaluation: Evaluation | None = None,
        effect: str = "",
        rules: tuple[str, ...] = (),
        reason: str = "",
        code: str = "",
    ) -> AuditEvent:
        """Returns the audit event of one decision, its texts masked with every stored secret."""
        http = question.action.http
        key = self.mask_key(question.action.upstream, principal)

        def redact(text: str, key: bytes) -> str:
            return _cut(active.redactor.text(text, key))

        details: dict[str, Any] = {"authority": http.authority, "shim": shim.name, "epoch": active.snapshot.epoch}
        if http.query:
            details["query"] = redact(http.query, key)
        if question.session:
            details["session"] = redact(question.session, key)
        if principal.session:
            details["verified_session"] = redact(principal.session, key)
        if code:
            details["code"] = code
        if evaluation is not None:
            if evaluation.near_misses:
                details["near_misses"] = [list(miss) for miss in evaluation.near_misses]
            if evaluation.shadow:
                details["shadow"] = [list(shadow) for shadow in evaluation.shadow]
            if evaluation.masks:
                details["masks"] = len(evaluation.masks)
        resource = redact(http.path, key)
        if reason and resource != http.path:  # a secret was found in it, and the reason may tell the path
            reason = reason.replace(http.path, resource)
        return AuditEvent(
            id=self._new_id("evt"),
            kind="decision",
            at_ms=self._clock(),
            actor=principal,
            upstream=question.action.upstream,
            method=http.method,
            resource=resource,
            effect=effect,
            rules=rules,
            reason=reason,
            decision_id=self._new_id("dec"),
            call_id=question.call_id,
            policy_revision=active.snapshot.revision,
            details=details,
        )


def _cut(text: str) -> str:
    """Returns the text as the log holds it: agents choose how long a path is, not how large the log grows."""
    if len(text) <= LOGGED_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:LOGGED_CHARACTERS]}[... {len(text)} characters, SHA-256 {digest}]"


def shim_serves(shim: ShimRow, upstream: str, groups: frozenset[str]) -> bool:
    """Returns True if the shim is enrolled for the upstream and for one of the groups."""
    if shim.revoked_at_ms is not None:
        return False
    serves = ANY in shim.upstreams or upstream in shim.upstreams
    return serves and (ANY in shim.groups or not groups.isdisjoint(shim.groups))

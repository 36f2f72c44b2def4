"""One policy revision, indexed for judging: immutable, swapped as a whole by one assignment."""

from dataclasses import replace

from penstock._core.describe import Action
from penstock_server.domain.evaluate import MAX_NEAR_MISSES, CompiledRule, Evaluation, Outcome, judge, near_misses
from penstock_server.domain.paths import compile_path
from penstock_server.domain.policy import Policy, Upstream
from penstock_server.domain.principal import Principal

__all__ = ["Snapshot"]

_Rules = tuple[CompiledRule, ...]


class Snapshot:
    """Holds a revision's rules by (upstream, method). Never changes; safe on any thread."""

    __slots__ = ("_by_method", "_by_upstream", "_upstreams", "epoch", "policy", "revision")

    def __init__(self, policy: Policy, revision: int, epoch: int) -> None:
        """Indexes the policy. Raises ValueError for a malformed path, which a parsed document never has."""
        self.policy = policy
        self.revision = revision
        self.epoch = epoch
        self._upstreams = {upstream.name: upstream for upstream in policy.upstreams}
        rules = [
            CompiledRule.of(rule, tuple(map(compile_path, rule.http.paths if rule.http else ())))
            for rule in sorted(policy.rules, key=lambda rule: rule.name)
        ]
        self._by_upstream: dict[str, _Rules] = {}
        self._by_method: dict[tuple[str, str], _Rules] = {}
        for name in self._upstreams:
            fitting = tuple([one for one in rules if not one.rule.upstreams or name in one.rule.upstreams])
            self._by_upstream[name] = fitting
            methods = {method for one in fitting if one.rule.http for method in one.rule.http.methods}
            for method in methods | {""}:
                self._by_method[name, method] = tuple([one for one in fitting if _fits_method(one, method)])

    def __repr__(self) -> str:
        return f"Snapshot(revision={self.revision}, epoch={self.epoch})"

    def upstream(self, name: str) -> Upstream | None:
        """Returns the upstream of that name, or None."""
        return self._upstreams.get(name)

    def evaluate(self, principal: Principal, action: Action, now_ms: int) -> Evaluation:
        """Returns the answer for this action at this time (UTC milliseconds); explains a refusal for want of a rule."""
        name = action.upstream
        if name not in self._upstreams:
            return Evaluation(Outcome.DENY, "upstream_unknown", reason=f'there is no upstream "{name}"')
        candidates = self._by_method.get((name, action.http.method))
        if candidates is None:
            candidates = self._by_method[name, ""]
        answer = judge(candidates, principal, action, now_ms)
        if answer.code != "no_rule":
            return answer
        known = {rule for rule, _ in answer.near_misses}
        missed = [miss for miss in near_misses(self._by_upstream[name], principal, action) if miss[0] not in known]
        return replace(answer, near_misses=(*answer.near_misses, *missed)[:MAX_NEAR_MISSES])


def _fits_method(compiled: CompiledRule, method: str) -> bool:
    """Returns whether the rule judges this method; "" stands for every method that no rule of the upstream names."""
    http = compiled.rule.http
    return http is None or not http.methods or method in http.methods

"""Turns the service's protobuf answers into plain values; protobuf stops here. What is not understood is no answer."""

from collections.abc import Iterable
from functools import lru_cache

from penstock._core.verdict import KnownValue, MaskSpec, Outcome, ShimConfig, Upstream, Verdict
from penstock.v1 import decision_pb2

__all__ = ["config", "forget_obligations", "unavailable", "verdict"]

_OUTCOMES = {
    int(decision_pb2.OUTCOME_ALLOW): Outcome.ALLOW,
    int(decision_pb2.OUTCOME_DENY): Outcome.DENY,
    int(decision_pb2.OUTCOME_PENDING): Outcome.PENDING,
    int(decision_pb2.OUTCOME_NEED_BODY): Outcome.NEED_BODY,
}

_MEMO_OBLIGATIONS = 1024
"""Obligations whose meaning is kept; there are about as many as upstreams, principals and sets of masks together."""

NO_ANSWER = "The policy service gave no answer in time; nothing was forwarded. Try again when it is back."
STALE = "The policy changed while this was decided; nothing was forwarded. Send the request again."
NOT_UNDERSTOOD = "The policy service gave an answer that this shim does not understand; update the shim."


def unavailable(call_id: str, reason: str = NO_ANSWER) -> Verdict:
    """Makes the verdict of an ask that has no usable answer; the shim refuses it with 503."""
    return Verdict(call_id, Outcome.UNAVAILABLE, code="service_unavailable", reason=reason)


def verdict(message: decision_pb2.Verdict, epoch: int) -> Verdict:
    """Converts one answer that came on a stream whose latest epoch is `epoch`.

    An unknown outcome, an empty mask, masks without a key and an allow of an older epoch become UNAVAILABLE. A refusal
    of an older epoch stands: refusing is always safe, and it explains itself.
    """
    outcome = _OUTCOMES.get(message.outcome)
    if outcome is Outcome.ALLOW:
        return _allow(message, epoch)
    if outcome is None:
        return unavailable(message.call_id, NOT_UNDERSTOOD)
    approval = message.approval
    return Verdict(
        call_id=message.call_id,
        outcome=outcome,
        decision_id=message.decision_id,
        code=message.code,
        rule=message.rule,
        reason=message.reason,
        approval=approval.name,
        hold_ms=approval.hold_ms,
        expires_at_ms=approval.expires_at_ms,
        need_body_max=message.need_body_max,
        policy_revision=message.policy_revision,
        epoch=message.epoch,
    )


def _allow(message: decision_pb2.Verdict, epoch: int) -> Verdict:
    if message.epoch < epoch:
        return unavailable(message.call_id, STALE)
    obliged = _obligations(message.obligations.SerializeToString())
    if obliged is None:
        return unavailable(message.call_id, NOT_UNDERSTOOD)
    credential, hosts, masks, key = obliged
    return Verdict(
        call_id=message.call_id,
        outcome=Outcome.ALLOW,
        decision_id=message.decision_id,
        code=message.code,
        rule=message.rule,
        reason=message.reason,
        credential=credential,
        credential_hosts=hosts,
        masks=masks,
        mask_key=key,
        policy_revision=message.policy_revision,
        epoch=message.epoch,
    )


@lru_cache(_MEMO_OBLIGATIONS)
def _obligations(wire: bytes) -> tuple[tuple[str, bytes] | None, tuple[str, ...], MaskSpec, bytes] | None:
    """Returns credential, its hosts, the masks and their key; None if a mask is empty, so unknown, or has no key."""
    message = decision_pb2.Obligations.FromString(wire)
    if not all(mask.detectors or mask.json or mask.header for mask in message.masks):
        return None
    if message.masks and not message.mask_key:
        return None
    masks = MaskSpec(
        detectors=frozenset(name for mask in message.masks for name in mask.detectors),
        json=frozenset(mask.json for mask in message.masks if mask.json),
        headers=frozenset(mask.header.lower() for mask in message.masks if mask.header),
    )
    if not message.HasField("credential"):
        return None, (), masks, message.mask_key
    given = message.credential
    return (given.header, given.value), tuple(given.hosts), masks, message.mask_key


def forget_obligations() -> None:
    """Forgets kept obligations, which hold credentials: at every new configuration, and when the stream is lost."""
    _obligations.cache_clear()


def config(message: decision_pb2.ShimConfig) -> ShimConfig:
    """Converts the shim's configuration."""
    return ShimConfig(message.policy_revision, tuple(_upstreams(message.upstreams)))


def _upstreams(messages: Iterable[decision_pb2.UpstreamConfig]) -> Iterable[Upstream]:
    for message in messages:
        yield Upstream(
            name=message.name,
            url=message.url,
            mount=message.mount,
            dialect=message.dialect,
            token_from=tuple(message.token_from),
            private_addresses=message.private_addresses,
            known_values=tuple(KnownValue(known.name, known.value) for known in message.known_values),
            hosts=tuple(message.hosts),
        )

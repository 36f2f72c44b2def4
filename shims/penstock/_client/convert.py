"""Turns the service's protobuf answers into plain values; protobuf stops here. What is not understood is no answer."""

from collections.abc import Iterable
from functools import lru_cache

from penstock._core.verdict import KnownValue, MaskSpec, Outcome, ShimConfig, Upstream, Verdict
from penstock.v1 import decision_pb2

__all__ = ["config", "unavailable", "verdict"]

_OUTCOMES = {
    int(decision_pb2.OUTCOME_ALLOW): Outcome.ALLOW,
    int(decision_pb2.OUTCOME_DENY): Outcome.DENY,
    int(decision_pb2.OUTCOME_PENDING): Outcome.PENDING,
    int(decision_pb2.OUTCOME_NEED_BODY): Outcome.NEED_BODY,
}

_MEMO_MASKS = 1024
"""Mask lists whose union is kept; there are about as many as sets of mask rules that match together."""

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
    credential: tuple[str, bytes] | None = None
    hosts: tuple[str, ...] = ()
    masks = _NO_MASKS
    obligations = message.obligations
    if obligations.HasField("credential"):
        given = obligations.credential
        credential, hosts = (given.header, given.value), tuple(given.hosts)
    if obligations.masks:
        wanted = mask_spec(tuple(_one_mask(mask) for mask in obligations.masks))
        if wanted is None or not obligations.mask_key:
            return unavailable(message.call_id, NOT_UNDERSTOOD)
        masks = wanted
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
        mask_key=obligations.mask_key,
        policy_revision=message.policy_revision,
        epoch=message.epoch,
    )


_NO_MASKS = MaskSpec()


def _one_mask(mask: decision_pb2.Mask) -> tuple[tuple[str, ...], str, str]:
    return tuple(mask.detectors), mask.json, mask.header


@lru_cache(_MEMO_MASKS)
def mask_spec(masks: tuple[tuple[tuple[str, ...], str, str], ...]) -> MaskSpec | None:
    """Unites masks of (detectors, JSON pointer, header); None if one of them says nothing that is understood."""
    if not all(detectors or pointer or header for detectors, pointer, header in masks):
        return None
    return MaskSpec(
        detectors=frozenset(name for detectors, _, _ in masks for name in detectors),
        json=frozenset(pointer for _, pointer, _ in masks if pointer),
        headers=frozenset(header.lower() for _, _, header in masks if header),
    )


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
        )

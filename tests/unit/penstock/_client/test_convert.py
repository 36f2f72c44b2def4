"""Answers of the service as plain values; what is not understood is no answer."""

from penstock._client import convert
from penstock._core.verdict import MaskSpec, Outcome
from penstock.v1 import decision_pb2 as pb


def an_allow(**fields: object) -> pb.Verdict:
    """Returns an allow of epoch 3."""
    return pb.Verdict(call_id="c", outcome=pb.OUTCOME_ALLOW, epoch=3, **fields)  # type: ignore[arg-type]  # any field


def test_an_allow_carries_its_obligations() -> None:
    """Credential, hosts, masks and key arrive; masks of several rules are united."""
    masks = [pb.Mask(detectors=["card"]), pb.Mask(detectors=["email"], json="/a/*"), pb.Mask(header="X-Debug")]
    credential = pb.Credential(header="authorization", value=b"v", hosts=["h", "h:1"])
    message = an_allow(
        decision_id="dec_1",
        rule="r",
        policy_revision=4,
        obligations=pb.Obligations(credential=credential, masks=masks, mask_key=b"k" * 32),
    )
    verdict = convert.verdict(message, 3)
    assert verdict.outcome is Outcome.ALLOW
    assert (verdict.decision_id, verdict.rule, verdict.policy_revision, verdict.epoch) == ("dec_1", "r", 4, 3)
    assert verdict.credential == ("authorization", b"v")
    assert verdict.credential_hosts == ("h", "h:1")
    assert verdict.masks == MaskSpec(frozenset({"card", "email"}), frozenset({"/a/*"}), frozenset({"x-debug"}))
    assert verdict.mask_key == b"k" * 32


def test_an_allow_without_credential_has_none() -> None:
    """An absent credential is not an empty one."""
    assert convert.verdict(an_allow(), 3).credential is None


def test_a_denial_carries_what_the_agent_is_told() -> None:
    """Code, rule, reason and the denied approval's name arrive."""
    message = pb.Verdict(
        call_id="c",
        outcome=pb.OUTCOME_DENY,
        code="approval_denied",
        rule="r",
        reason="no",
        approval=pb.PendingApproval(name="apr_1"),
    )
    verdict = convert.verdict(message, 0)
    assert (verdict.outcome, verdict.code, verdict.rule) == (Outcome.DENY, "approval_denied", "r")
    assert (verdict.reason, verdict.approval) == ("no", "apr_1")


def test_pending_and_need_body_carry_their_numbers() -> None:
    """The hold, its end, and the body's bound arrive."""
    approval = pb.PendingApproval(name="apr_1", hold_ms=5, expires_at_ms=9)
    pending = convert.verdict(pb.Verdict(call_id="c", outcome=pb.OUTCOME_PENDING, approval=approval), 0)
    assert (pending.outcome, pending.hold_ms, pending.expires_at_ms) == (Outcome.PENDING, 5, 9)
    more = convert.verdict(pb.Verdict(call_id="c", outcome=pb.OUTCOME_NEED_BODY, need_body_max=6), 0)
    assert (more.outcome, more.need_body_max) == (Outcome.NEED_BODY, 6)


def test_unknown_outcomes_are_no_answer() -> None:
    """A later release's outcome, and the unspecified one, never let anything through."""
    for outcome in (0, 17):
        message = pb.Verdict(call_id="c", outcome=outcome)  # type: ignore[arg-type]  # what a later release may send
        assert convert.verdict(message, 0).outcome is Outcome.UNAVAILABLE


def test_masks_that_cannot_be_applied_are_no_answer() -> None:
    """A mask of an unknown kind reads as empty, and masking needs a key; neither passes unmasked."""
    unknown = pb.Obligations(masks=[pb.Mask(detectors=["card"]), pb.Mask()], mask_key=b"k")
    keyless = pb.Obligations(masks=[pb.Mask(detectors=["card"])])
    for obligations in (unknown, keyless):
        assert convert.verdict(an_allow(obligations=obligations), 3).outcome is Outcome.UNAVAILABLE


def test_a_stale_allow_is_void_and_a_stale_denial_stands() -> None:
    """Only permission can be wrong when it is old."""
    assert convert.verdict(an_allow(), 4).outcome is Outcome.UNAVAILABLE
    denial = pb.Verdict(call_id="c", outcome=pb.OUTCOME_DENY, epoch=3)
    assert convert.verdict(denial, 4).outcome is Outcome.DENY


def test_a_configuration_arrives_whole_and_hides_its_secrets() -> None:
    """Every field of an upstream arrives; the representation shows no known value."""
    upstream = pb.UpstreamConfig(
        name="billing",
        url="https://b",
        mount="/billing",
        dialect="anthropic",
        token_from=["x-api-key"],
        private_addresses=True,
        hosts=["a.example", "b:80"],
        known_values=[pb.KnownValue(name="key", value=b"planted")],
    )
    config = convert.config(pb.ShimConfig(policy_revision=2, upstreams=[upstream]))
    (one,) = config.upstreams
    assert (config.policy_revision, one.name, one.url, one.mount) == (2, "billing", "https://b", "/billing")
    assert (one.dialect, one.token_from, one.private_addresses) == ("anthropic", ("x-api-key",), True)
    assert one.hosts == ("a.example", "b:80")
    assert [(known.name, known.value) for known in one.known_values] == [("key", b"planted")]
    assert "planted" not in repr(config)

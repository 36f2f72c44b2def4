"""What is recorded of requests that went nowhere: enough to see them, too little to fill a disk with."""

import pytest

from penstock._core.recording import REFUSED_BODY_BYTES
from penstock._core.verdict import FrameKind, Outcome
from unit.penstock._core.fake_sides import Stage, a_request


def a_post(length: int) -> Stage:
    """Returns the stage of a POST with a body of that length."""
    return Stage(a_request("POST", "/billing/v1/x", ("Content-Length", str(length))))


@pytest.mark.parametrize("code", ["token_missing", "token_expired", "token_invalid"])
def test_who_has_no_valid_token_leaves_no_recording(code: str) -> None:
    """The decision is in the audit log; frames would let anybody fill the disk."""
    stage = a_post(5)
    stage.send(b"hello")
    stage.decide(Outcome.DENY, code=code)
    assert (stage.party.status, stage.recorder.frames) == (403, [])


@pytest.mark.parametrize(("extra", "recorded"), [(0, REFUSED_BODY_BYTES), (1, 0)])
def test_a_denied_request_is_recorded_with_a_small_body_only(extra: int, recorded: int) -> None:
    """The head is always there."""
    body = b"x" * (REFUSED_BODY_BYTES + extra)
    stage = a_post(len(body))
    stage.send(body)
    stage.decide(Outcome.DENY, code="policy_denied")
    assert stage.recorder.kinds == ["request", "refused"]
    assert len(stage.recorder.body(FrameKind.REQUEST)) == recorded

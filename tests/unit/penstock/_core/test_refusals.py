"""Tests of the shim's own refusals: each is typed, one line, and useful."""

import pytest

from penstock._core import refusals
from penstock._core.refusal import Refusal

ALL = [value for value in vars(refusals).values() if isinstance(value, Refusal)]
MADE = [refusals.body_too_large(7), refusals.credential_refused("billing", "dec_1")]


@pytest.mark.parametrize("refusal", [*ALL, *MADE], ids=lambda refusal: refusal.code)
def test_each_refusal_has_a_status_a_code_and_one_line(refusal: Refusal) -> None:
    """People get a sentence, programs a code."""
    assert 400 <= refusal.status < 600
    assert refusal.code.replace("_", "").isalpha() and refusal.code.islower()
    assert refusal.reason.endswith(".") and "\n" not in refusal.reason


def test_every_refusal_is_exported() -> None:
    """None is forgotten in __all__."""
    assert {name for name, value in vars(refusals).items() if isinstance(value, Refusal)} <= set(refusals.__all__)


def test_only_what_is_away_says_when_to_ask_again() -> None:
    """An agent that repeats what was refused for its own sake gets nowhere."""
    assert all((refusal.status == 503) == bool(refusal.retry_after_s) for refusal in [*ALL, *MADE])


def test_what_was_decided_keeps_its_decision() -> None:
    """An allow whose credential may not go out is found in the audit log by that name."""
    assert refusals.credential_refused("billing", "dec_1").decision == "dec_1"
    assert "7 bytes" in refusals.body_too_large(7).reason

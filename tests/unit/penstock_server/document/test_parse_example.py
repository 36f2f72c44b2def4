"""The example of a policy document is true: it parses, and what it calls a default is one."""

import re
from dataclasses import replace
from pathlib import Path

from penstock._core.mask import detector_ids
from penstock_server.conditions import compile_condition
from penstock_server.document import parse

EXAMPLE = Path(__file__).resolve().parents[4] / "services" / "policy.example.yaml"


def test_the_example_is_a_policy_without_remarks() -> None:
    """Neither a mistake nor anything that the linter warns of."""
    parsed = parse(EXAMPLE.read_text(), compile_condition=compile_condition, detectors=detector_ids())
    assert [upstream.name for upstream in parsed.policy.upstreams] == ["billing", "llm"]
    assert [warning for warning in parsed.warnings if "strict" not in warning] == []


def test_what_is_called_a_default_is_one() -> None:
    """Without the lines that only state defaults the policy is the same."""
    text = shorter = EXAMPLE.read_text()
    for line in (
        *("mount: /billing", "dialect: problem", "addresses: public", "token_from: [authorization] "),
        *("audit: normal", "mode: enforce", "quorum: 1 ", "pending_ttl: 10m"),
    ):
        shorter, found = re.subn(rf"^ +{re.escape(line)}.*\n", "", shorter, count=1, flags=re.MULTILINE)
        assert found == 1, line
    full, short = (
        parse(each, compile_condition=compile_condition, detectors=detector_ids()).policy for each in (text, shorter)
    )
    assert full.upstreams == short.upstreams
    assert [replace(rule, when=None) for rule in full.rules] == [replace(rule, when=None) for rule in short.rules]

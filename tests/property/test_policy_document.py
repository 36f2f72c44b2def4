"""Properties of the document reader: any text is a policy or a PenstockError, and never anything else."""

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_server.document import diff, rule_rows
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.snapshot import Snapshot
from unit.penstock_server.document.policies import FULL, read

KEYS = """
upstreams rules secrets name match principals group http methods paths when effect approval reviewers quorum grant uses
ttl hold mask detectors json header url mount credential secret format audit mode allow deny require_approval GET
/a/{id} true 10m https://a {} << = ~
"""
WORDS = st.sampled_from(KEYS.split())
VALUES = st.recursive(
    WORDS | st.integers(-2, 10) | st.booleans() | st.none() | st.floats() | st.dates() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)


def outcome(text: str) -> None:
    """Reads a text; a policy that comes out is usable, a refusal is complete."""
    try:
        parsed = read(text)
    except PenstockError as error:
        assert error.reason == "POLICY_INVALID"
        assert error.problems
        assert all(problem.where and problem.what and "\n" not in problem.what for problem in error.problems)
        return
    Snapshot(parsed.policy, 1, 1)
    rule_rows(parsed.policy)
    assert diff(parsed.policy, parsed.policy) == ()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.text("{}[]:,-&*!|>#%@`'\"\n\t ab?~<=", max_size=40))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    """Broken YAML of every kind is refused in the one way there is."""
    outcome(text)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional={"upstreams": VALUES, "rules": VALUES, "secrets": VALUES}))
def test_any_structure_is_a_policy_or_refused(document: dict[str, Any]) -> None:
    """Keys of the schema in any place, with values of any type, are refused in the one way there is."""
    outcome(yaml.safe_dump(document, allow_unicode=True))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(FULL) - 1), st.integers(0, 8), st.text("{}[]:,-&*! \n\"'abc019$\x00é", max_size=4))
def test_a_damaged_document_is_a_policy_or_refused(start: int, length: int, text: str) -> None:
    """One edit anywhere in a valid document gives another policy or a complaint."""
    outcome(FULL[:start] + text + FULL[start + length :])

"""Diffs for people and rows for SQL."""

import json

import pytest
import yaml

from penstock_server.document import diff, rule_rows
from penstock_server.domain.policy import Policy
from unit.penstock_server.document.policies import FULL, read

POLICY = read(FULL).policy


def changed(old: str, new: str) -> tuple[str, ...]:
    """Returns the diff after replacing one text of the full document."""
    assert old in FULL
    return diff(POLICY, read(FULL.replace(old, new)).policy)


def test_the_first_policy_is_all_additions() -> None:
    """Before the first revision there is nothing."""
    added = (
        "+ rule masks",
        "+ rule reads",
        "+ rule refunds",
        "+ secret billing-key",
        "+ upstream billing",
        "+ upstream local",
    )
    assert diff(None, POLICY) == added
    assert diff(POLICY, Policy()) == tuple(line.replace("+", "-") for line in added)


def test_equal_policies_have_no_diff() -> None:
    """Comments, order and spelling are no changes."""
    assert diff(POLICY, read("# hello\n" + FULL.replace("[PUT, POST]", "[POST, PUT]")).policy) == ()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("effect: allow", "effect: deny", "~ rule reads: effect: allow -> deny"),
        ("> 100", "> 50", "~ rule refunds: when: request.json.amount > 100 -> request.json.amount > 50"),
        ("    when: request.json.amount > 100\n", "", "~ rule refunds: when: request.json.amount > 100 -> (none)"),
        ("hold: 500ms", "hold: 0s", "~ rule refunds: approval.hold: 500ms -> 0ms"),
        ("uses: 3", "uses: 4", "~ rule refunds: approval.grant.uses: 3 -> 4"),
        ("audit: strict", "audit: normal", "~ rule refunds: audit: strict -> normal"),
        ("mode: shadow", "mode: enforce", "~ rule refunds: mode: shadow -> enforce"),
        ("[GET]", "[GET, HEAD]", '~ rule reads: match.http.methods: ["GET"] -> ["GET", "HEAD"]'),
        ("[card, all]", "[all]", "~ rule masks: mask"),
        ("mount: /pay", "mount: /bill", "~ upstream billing: mount: /pay -> /bill"),
        ('format: "key {}"', 'format: "{}"', "~ upstream billing: credential.format: key {} -> {}"),
        ("addresses: private}", "addresses: private, mount: /l}", "~ upstream local: mount: /local -> /l"),
        ("addresses: private}", "addresses: private, hosts: [l]}", '~ upstream local: hosts: (none) -> ["l"]'),
    ],
)
def test_each_change_is_one_line_with_both_values(old: str, new: str, line: str) -> None:
    """A person sees what was and what will be."""
    [found] = changed(old, new)
    assert found.startswith(line)


def test_rows_have_typed_selectors_and_the_whole_definition() -> None:
    """Columns hold canonical JSON lists; the definition is a rule that the document reader takes back unchanged."""
    masks, reads, refunds = rule_rows(POLICY)
    assert (reads.name, reads.effect, reads.mode, reads.condition) == ("reads", "allow", "enforce", "")
    assert (reads.methods, reads.paths, reads.upstreams) == ('["GET"]', "[]", "[]")
    assert (refunds.mode, refunds.condition) == ("shadow", "request.json.amount > 100")
    assert refunds.principals == '[{"group":"agents","issuer":"urn:i"},{"owner":"o","subject":"s"}]'
    document = yaml.safe_load(FULL) | {"rules": [json.loads(row.definition) for row in (masks, reads, refunds)]}
    assert read(yaml.safe_dump(document)).policy == POLICY

"""Parses documents in tests with the real conditions and a small set of detectors."""

from penstock_server.conditions import compile_condition
from penstock_server.document import ParsedPolicy, parse
from penstock_server.domain.errors import Code, PenstockError

__all__ = ["FULL", "problems", "read"]

FULL = """\
secrets: [billing-key]
upstreams:
  billing:
    url: https://Billing.Example:443/base/
    mount: /pay
    dialect: anthropic
    credential: {secret: billing-key, header: X-Api-Key, format: "key {}"}
    token_from: [X-Api-Key, Authorization]
  local: {url: "http://127.0.0.1:8080", addresses: private}
rules:
  - name: refunds
    match:
      principals: [{group: agents, issuer: "urn:i"}, {subject: s, owner: o}]
      upstreams: [billing]
      http: {methods: [PUT, POST], paths: ["/v1/refunds/{id}", "/v1/**"]}
    when: request.json.amount > 100
    effect: require_approval
    approval: {reviewers: [{group: finance}], quorum: 2, pending_ttl: 1h, grant: {uses: 3, ttl: 1d}, hold: 500ms}
    audit: strict
    mode: shadow
    reason: refunds are looked at
  - name: masks
    effect: mask
    mask: [{detectors: [card, all]}, {json: /customers/*/iban}, {header: X-Debug}]
  - name: reads
    match: {principals: [{group: agents}], http: {methods: [GET]}}
    effect: allow
"""


def read(text: str) -> ParsedPolicy:
    """Returns the parsed document."""
    return parse(text, compile_condition=compile_condition, detectors=frozenset({"card", "email"}))


def problems(text: str) -> dict[str, str]:
    """Returns what is wrong with a document by where; fails if nothing is."""
    try:
        read(text)
    except PenstockError as error:
        assert error.code is Code.INVALID
        assert error.reason == "POLICY_INVALID"
        assert "\n" not in error.message
        return {problem.where: problem.what for problem in error.problems}
    raise AssertionError("the document is valid")

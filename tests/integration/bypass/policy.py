"""The policy of the cases: a denial on /admin under default deny, so that a way round shows, and what items need."""

__all__ = ["POLICY", "RESOLVED", "SECRET"]

SECRET = b"bypass-" + b"key/0123456789+abc"
"""The upstream's credential; its characters look different in each of base64, JSON and URLs."""

RESOLVED = [
    "loopback",
    "link-local",
    "rebound",
    "flipping",
    "mixed",
    "nat64",
    "mapped",
    "sixtofour",
    "unspecified",
    "metadata",
    "metadata6",
    "translated",
]
"""Names of upstreams that a resolver of the test answers for, at the origin's port."""

_UPSTREAMS = """\
secrets: [bypass-key]
upstreams:
  b:
    url: http://ORIGIN
    addresses: private
    credential: {secret: bypass-key, header: x-api-key, format: "{}"}
    token_from: [authorization, x-api-key]
  hosted: {url: "http://ORIGIN/hosted", addresses: private, hosts: [api.internal]}
  json: {url: "http://ORIGIN/json", addresses: private}
  reads: {url: "http://ORIGIN/reads", addresses: private}
  m:
    url: http://ORIGIN/m
    addresses: private
    credential: {secret: bypass-key, header: x-api-key, format: "{}"}
  approve: {url: "http://ORIGIN/approve", addresses: private}
  self: {url: "http://127.0.0.1:SHIM", addresses: private}
"""

_RULES = """\
rules:
  - {name: no-admin, effect: deny, match: {http: {paths: ["/admin/**"]}}}
  - {name: no-verbs, effect: deny, match: {http: {paths: ["/v1/things:delete", "/v1/@me/**", "/v1/x(1)"]}}}
  - name: the-rest
    match: {principals: [{group: agents}], upstreams: [b, hosted, m, self, NAMES]}
    effect: allow
  - name: small-payments
    match: {principals: [{group: agents}], upstreams: [json], http: {methods: [POST], paths: ["/pay"]}}
    when: request.json.amount <= 100 && request.json.to != "eve"
    effect: allow
  - name: no-roots
    match: {principals: [{group: agents}], upstreams: [json], http: {methods: [POST], paths: ["/users"]}}
    when: request.json.admin == 5
    effect: deny
  - name: users
    match: {principals: [{group: agents}], upstreams: [json], http: {methods: [POST], paths: ["/users"]}}
    effect: allow
  - name: by-query
    match: {principals: [{group: agents}], upstreams: [json], http: {methods: [GET], paths: ["/search"]}}
    when: request.query.role == "user"
    effect: allow
  - name: by-header
    match: {principals: [{group: agents}], upstreams: [json], http: {methods: [GET], paths: ["/role"]}}
    when: request.headers["x-role"] == "user"
    effect: allow
  - name: only-get
    match: {principals: [{group: agents}], upstreams: [reads], http: {methods: [GET]}}
    effect: allow
  - {name: masked, effect: mask, match: {upstreams: [m, reads]}, mask: [{detectors: [all]}]}
  - name: by-a-person
    match: {principals: [{group: agents}], upstreams: [approve]}
    effect: require_approval
    approval: {reviewers: [{group: approvers}], hold: 0s, grant: {uses: 1, ttl: 5m}}
"""

_PRIVATE = ("flipping", "metadata", "metadata6")
_NAMED = "".join(
    f'  {name}: {{url: "http://{name}.example:PORT", addresses: {"private" if name in _PRIVATE else "public"}}}\n'
    for name in RESOLVED
)
POLICY = _UPSTREAMS + _NAMED + _RULES.replace("NAMES", ", ".join(RESOLVED))
"""ORIGIN stands for the origin's host and port, PORT for the port, SHIM for the shim's port."""

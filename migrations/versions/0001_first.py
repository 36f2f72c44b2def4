"""The first schema: policy, approvals, secrets, shims, frames and the audit log. It never changes once landed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _number(name: str, *, nullable: bool = False, **options: object) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=nullable, **options)


def _bytes(name: str, *, nullable: bool = False, **options: object) -> sa.Column:
    return sa.Column(name, sa.LargeBinary, nullable=nullable, **options)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=f"{column}_known")


def upgrade() -> None:
    _policy()
    _approvals()
    _grants()
    _kept()
    _audit()


def _policy() -> None:
    op.create_table(
        "policy_revision",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("document"),
        _bytes("digest"),
        _text("author"),
        _number("created_at_ms"),
        sa.CheckConstraint("number > 0", name="number_positive"),
        sa.CheckConstraint("length(digest) = 32", name="digest_sha256"),
    )
    op.create_table(
        "policy_rule",
        sa.Column("revision", sa.BigInteger, sa.ForeignKey("policy_revision.number"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        _text("effect"),
        _text("upstreams"),
        _text("methods"),
        _text("paths"),
        _text("principals"),
        _text("condition"),
        _text("mode"),
        _text("definition"),
        _one_of("effect", "allow", "deny", "require_approval", "mask"),
        _one_of("mode", "enforce", "shadow"),
    )
    op.create_table(
        "active_policy",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, sa.ForeignKey("policy_revision.number"), nullable=True),
        sa.CheckConstraint("id = 1", name="active_policy_single"),
    )
    op.create_table(
        "epoch",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        _number("value"),
        sa.CheckConstraint("id = 1", name="epoch_single"),
    )
    op.execute("INSERT INTO active_policy (id, revision) VALUES (1, NULL)")
    op.execute("INSERT INTO epoch (id, value) VALUES (1, 1)")


def _approvals() -> None:
    op.create_table(
        "approval_request",
        sa.Column("id", sa.Text, primary_key=True),
        _text("requester_issuer"),
        _text("requester_subject"),
        _text("owner"),
        _text("delegator"),
        _text("groups"),
        _text("upstream"),
        _bytes("digest"),
        _text("action"),
        _text("reason"),
        _text("session"),
        _text("call_id"),
        _number("policy_revision"),
        _number("created_at_ms"),
        _number("expires_at_ms"),
        _number("grant_uses"),
        _number("grant_ttl_ms"),
        _text("state"),
        _number("version"),
        _number("resolved_at_ms", nullable=True),
        sa.UniqueConstraint(
            *("id", "requester_issuer", "requester_subject", "owner", "delegator"), name="request_requester"
        ),
        sa.UniqueConstraint("id", "requester_issuer", "requester_subject", "digest", name="request_action"),
        sa.UniqueConstraint("id", "state", name="request_state"),
        _one_of("state", "pending", "approved", "denied", "expired", "cancelled"),
        sa.CheckConstraint("(state = 'pending') = (resolved_at_ms IS NULL)", name="resolved_once_left"),
        sa.CheckConstraint("length(digest) = 32", name="request_digest_sha256"),
        sa.CheckConstraint("grant_uses > 0 AND grant_ttl_ms > 0", name="grant_terms"),
        sa.CheckConstraint("expires_at_ms > created_at_ms", name="request_deadline"),
    )
    op.create_index(
        "one_pending_request",
        "approval_request",
        ["requester_issuer", "requester_subject", "digest"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "one_pending_call",
        "approval_request",
        ["requester_issuer", "requester_subject", "call_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("request_of_call", "approval_request", ["requester_issuer", "requester_subject", "call_id"])
    op.create_index("request_page", "approval_request", ["state", "created_at_ms", "id"])
    op.create_table(
        "approval_requirement",
        sa.Column("request_id", sa.Text, sa.ForeignKey("approval_request.id"), primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        _number("quorum"),
        _text("reviewers"),
        sa.CheckConstraint("quorum > 0", name="quorum_positive"),
    )
    op.create_table(
        "request_transition",
        sa.Column("prior", sa.Text, primary_key=True),
        sa.Column("next", sa.Text, primary_key=True),
    )
    for after in ("approved", "denied", "expired", "cancelled"):
        op.execute(f"INSERT INTO request_transition (prior, next) VALUES ('pending', '{after}')")  # noqa: S608 (constants)
    op.create_table(
        "request_event",
        sa.Column("request_id", sa.Text, sa.ForeignKey("approval_request.id"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("prior"),
        _text("next"),
        _text("actor_issuer"),
        _text("actor_subject"),
        _number("at_ms"),
        sa.UniqueConstraint("request_id", "prior", name="state_left_once"),
        sa.ForeignKeyConstraint(
            ["prior", "next"], ["request_transition.prior", "request_transition.next"], name="legal_transition"
        ),
    )
    op.create_table(
        "approval_review",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("reviewer_issuer", sa.Text, primary_key=True),
        sa.Column("reviewer_subject", sa.Text, primary_key=True),
        _text("requester_issuer"),
        _text("requester_subject"),
        _text("owner"),
        _text("delegator"),
        sa.Column("approved", sa.Boolean(create_constraint=True, name="approved_boolean"), nullable=False),
        _text("reason"),
        _text("satisfies"),
        _number("at_ms"),
        sa.ForeignKeyConstraint(
            ["request_id", "requester_issuer", "requester_subject", "owner", "delegator"],
            [
                "approval_request.id",
                "approval_request.requester_issuer",
                "approval_request.requester_subject",
                "approval_request.owner",
                "approval_request.delegator",
            ],
            name="review_of_requester",
        ),
        sa.CheckConstraint(
            "reviewer_issuer <> requester_issuer OR reviewer_subject <> requester_subject", name="nobody_reviews_own"
        ),
        # Owner and delegator are subjects of the people's issuer, and so are reviewers.
        sa.CheckConstraint(
            "reviewer_subject <> owner AND reviewer_subject <> delegator", name="nobody_reviews_for_an_own_agent"
        ),
    )


def _grants() -> None:
    op.create_table(
        "access_grant",
        sa.Column("id", sa.Text, primary_key=True),
        _text("request_id", unique=True),
        _text("request_state"),
        _text("requester_issuer"),
        _text("requester_subject"),
        _bytes("digest"),
        _number("uses_left"),
        _number("start_at_ms"),
        _number("end_at_ms"),
        _number("revoked_at_ms", nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id", "request_state"], ["approval_request.id", "approval_request.state"], name="grant_of_approved"
        ),
        sa.ForeignKeyConstraint(
            ["request_id", "requester_issuer", "requester_subject", "digest"],
            [
                "approval_request.id",
                "approval_request.requester_issuer",
                "approval_request.requester_subject",
                "approval_request.digest",
            ],
            name="grant_of_request",
        ),
        sa.CheckConstraint("request_state = 'approved'", name="only_approved"),
        sa.CheckConstraint("uses_left >= 0", name="uses_not_negative"),
        sa.CheckConstraint(
            "end_at_ms > start_at_ms AND end_at_ms - start_at_ms <= 2592000000", name="grant_at_most_30_days"
        ),
    )
    op.create_index("grant_by_action", "access_grant", ["requester_issuer", "requester_subject", "digest"])
    # Uses stay claimed in this version; the later states are here for the one that learns how a call ended.
    op.create_table(
        "grant_use",
        sa.Column("grant_id", sa.Text, sa.ForeignKey("access_grant.id"), primary_key=True),
        sa.Column("call_id", sa.Text, primary_key=True),
        _text("state"),
        _number("claimed_at_ms"),
        _number("settled_at_ms", nullable=True),
        _one_of("state", "claimed", "succeeded", "failed", "unknown"),
        sa.CheckConstraint("(state = 'claimed') = (settled_at_ms IS NULL)", name="settled_once_left"),
    )
    op.create_table(
        "access_lock",
        sa.Column("id", sa.Text, primary_key=True),
        _text("kind"),
        _text("target"),
        _text("reason"),
        _text("actor"),
        _number("created_at_ms"),
        _number("lifted_at_ms", nullable=True),
        _one_of("kind", "principal", "session", "upstream", "grant"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True),
        _text("kind"),
        _text("payload"),
        _number("created_at_ms"),
        _number("claimed_at_ms", nullable=True),
    )


def _kept() -> None:
    op.create_table(
        "secret_version",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("hosts"),
        _bytes("ciphertext"),
        _bytes("wrapped_key"),
        _text("kek_id"),
        _number("created_at_ms"),
        sa.CheckConstraint("version > 0", name="version_positive"),
    )
    op.create_table(
        "shim",
        sa.Column("name", sa.Text, primary_key=True),
        _bytes("token_hash", unique=True),
        _text("upstreams"),
        _text("groups"),
        _number("created_at_ms"),
        _number("revoked_at_ms", nullable=True),
        sa.CheckConstraint("length(token_hash) = 32", name="token_hash_sha256"),
    )
    op.create_table(
        "frame",
        sa.Column("shim", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("call_id"),
        _text("kind"),
        _number("at_ms"),
        _text("upstream"),
        _text("session"),
        _text("start"),
        _text("headers"),
        _bytes("body"),
        _text("outcome"),
        _text("masked"),
        _one_of("kind", "request", "request_body", "response", "response_body", "end"),
    )
    op.create_index("frame_of_call", "frame", ["call_id"])


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("kind"),
        _text("call_id"),
        _text("header"),
        sa.Column("body", sa.Text, nullable=True),
        _bytes("salt", nullable=True),
        _bytes("commitment"),
        _bytes("leaf_hash"),
        _bytes("chain_hash"),
        sa.CheckConstraint("seq > 0", name="seq_positive"),
        sa.CheckConstraint("(body IS NULL) = (salt IS NULL)", name="erased_together"),
        sa.CheckConstraint(
            "length(commitment) = 32 AND length(leaf_hash) = 32 AND length(chain_hash) = 32", name="hashes_sha256"
        ),
    )
    op.create_index("entry_of_call", "audit_entry", ["call_id"])
    op.create_index("entry_of_kind", "audit_entry", ["log", "kind", "seq"])

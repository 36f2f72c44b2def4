"""Keeps recorded frames in the batches they came in: one row for many, so that recording costs decisions little.

No release knew the table `frame`, so its rows move, and it goes, in one revision.
"""

import json
from itertools import groupby

import sqlalchemy as sa
from alembic import op

from penstock.v1 import recording_pb2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FRAMES = 128
"""Frames of a batch that is made here."""


def upgrade() -> None:
    batches = op.create_table(
        "frame_batch",
        sa.Column("shim", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("frames", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("first_seq > 0 AND last_seq >= first_seq", name="frames_in_order"),
    )
    _move(op.get_bind(), batches)
    op.drop_table("frame")


def _move(connection: sa.Connection, batches: sa.Table) -> None:
    rows = connection.execute(sa.text("SELECT * FROM frame ORDER BY shim, run_id, seq"))
    for (shim, run_id, _), group in groupby(rows, lambda row: (row.shim, row.run_id, (row.seq - 1) // FRAMES)):
        request = recording_pb2.RecordRequest(run_id=run_id, frames=[_frame(row) for row in group])
        connection.execute(
            batches.insert().values(
                shim=shim,
                run_id=run_id,
                first_seq=request.frames[0].seq,
                last_seq=request.frames[-1].seq,
                frames=request.SerializeToString(),
            )
        )


def _frame(row: sa.Row) -> recording_pb2.Frame:
    return recording_pb2.Frame(
        seq=row.seq,
        call_id=row.call_id,
        kind=f"FRAME_KIND_{row.kind.upper()}",
        at_ms=row.at_ms,
        upstream=row.upstream,
        session=row.session,
        start=row.start,
        headers=[{"name": name, "value": value.encode()} for name, value in json.loads(row.headers)],
        body=bytes(row.body),
        outcome=row.outcome,
        masked=json.loads(row.masked),
    )

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

PAGE = 16
"""Frames that are read at a time and make a batch: at most 1 MiB of bodies."""


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
    """Copies page by page: a table of recordings is larger than memory."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE frame IN ACCESS EXCLUSIVE MODE"))  # what came later would be dropped
    query = sa.text(
        "SELECT shim, run_id, seq, call_id, kind, at_ms, upstream, session, start, headers, body, outcome, masked"
        " FROM frame WHERE (shim, run_id, seq) > (:shim, :run_id, :seq) ORDER BY shim, run_id, seq LIMIT :page"
    )
    place = {"shim": "", "run_id": "", "seq": 0}
    while rows := connection.execute(query, {**place, "page": PAGE}).all():
        for (shim, run_id), group in groupby(rows, lambda row: (row.shim, row.run_id)):
            request = recording_pb2.RecordRequest(run_id=run_id, frames=[_frame(row) for row in group])
            first, last = request.frames[0].seq, request.frames[-1].seq
            row = {"shim": shim, "run_id": run_id, "first_seq": first, "last_seq": last}
            connection.execute(batches.insert().values(frames=request.SerializeToString(), **row))
        place = {"shim": rows[-1].shim, "run_id": rows[-1].run_id, "seq": rows[-1].seq}


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

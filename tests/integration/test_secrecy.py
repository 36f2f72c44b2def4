"""What is secret stays out of the database: values, credentials and tokens, in every encoding, after everything ran."""

import base64
import json
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from sqlalchemy import inspect, text

from integration.service import SECRET, Service, an_ask, refund
from penstock.v1 import (
    action_pb2,
    approver_pb2,
    audit_pb2,
    decision_pb2,
    policy_pb2,
    recording_pb2,
    recording_pb2_grpc,
    secret_pb2,
)
from penstock_server.store.engine import Database

pytestmark = pytest.mark.anyio

ESCAPED = "".join(f"\\u{ord(character):04x}" for character in SECRET)


def _forms(value: str) -> list[bytes]:
    """Returns the value raw, in hexadecimal digits, and as it shows within base64 at each alignment."""
    raw = value.encode()
    within = [base64.b64encode(bytes(shift) + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), raw[::-1], *within]


def _reachable(dump: bytes, value: str) -> list[bytes]:
    return [form for form in _forms(value) if form in dump]


async def _rows(url: str) -> bytes:
    """Returns everything in every table of the database."""
    database = Database(url)
    dump: list[bytes] = []
    async with database.read() as connection:
        for table in await connection.run_sync(lambda c: inspect(c).get_table_names()):
            for row in (await connection.execute(text(f"SELECT * FROM {table}"))).all():
                dump += [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
    await database.close()
    return b"\n".join(dump)


def _files(url: str) -> bytes:
    """Returns the bytes of a SQLite database with its log, nothing for PostgreSQL."""
    path = Path(url.partition("///")[2])
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*")) if "sqlite" in url else b""


async def _play(service: Service, agent: str) -> list[Any]:
    """Lets an agent, a shim and a reviewer put the secret wherever they can; returns every answer to people."""
    shim = await service.shim()
    header = action_pb2.Header(name="x-note", value=SECRET.encode())
    kind = action_pb2.Header(name="content-type", value=b"application/json")
    for number, method in enumerate(("GET", "DELETE", "PUT"), 1):
        path, query = f"/v1/{SECRET}/x", f"k={SECRET}&b={SECRET}"
        await shim.ask(an_ask(number, method, path, token=agent, query=query, headers=[header]))
    await shim.ask(an_ask(4, token=SECRET))
    body = f'{{"amount": 999, "a": "{SECRET}", "b": "{ESCAPED}", "{SECRET}": 1}}'.encode()
    ask = refund(5, token=agent)
    ask.session = f"s {SECRET}"
    ask.action.http.body = body
    del ask.action.http.headers[:]
    ask.action.http.headers.extend([kind, header])
    (pending,) = await shim.ask(ask)
    assert pending.outcome == decision_pb2.OUTCOME_PENDING
    answers = []
    shown = approver_pb2.ReviewedApprovalRequest(name=pending.approval.name)
    answers.append(await service.call("Approver.ReviewedApproval", shown, "grace"))
    deny = approver_pb2.DenyRequest(name=pending.approval.name, reason=f"never send {SECRET} there")
    answers.append(await service.call("Approver.Deny", deny, "grace"))
    answers.append(await shim.verdict())
    recording = service.stub(recording_pb2_grpc, "RecordingService").Record(
        metadata=service.metadata(service.shim_token)
    )
    frame = recording_pb2.Frame(
        seq=1,
        call_id="c" * 32,
        kind=recording_pb2.FRAME_KIND_REQUEST,
        upstream="billing",
        session=SECRET,
        start=f"GET /{SECRET}",
        headers=[header],
        body=json.dumps({"a": SECRET}).encode(),
    )
    await recording.write(recording_pb2.RecordRequest(run_id="a" * 32, frames=[frame]))
    assert (await recording.read()).acknowledged == 1
    recording.cancel()
    with pytest.raises(grpc.aio.AioRpcError):
        wrong = secret_pb2.PutSecretRequest(name="billing-key", value=SECRET.encode() + b"\n", hosts=["a.example"])
        await service.call("Secret.PutSecret", wrong, "sam")
    answers.append(await service.call("Secret.ListSecrets", secret_pb2.ListSecretsRequest(), "sam"))
    answers.append(await service.call("Policy.ShowPolicy", policy_pb2.ShowPolicyRequest(), "root"))
    answers.append(await service.call("Audit.ListEntries", audit_pb2.ListEntriesRequest(page_size=1000), "aud"))
    return answers


async def test_a_planted_secret_is_in_no_table_and_no_answer(service: Service) -> None:
    """Wherever it was put: path, query, header, body, session, reason, frame, token, refused request."""
    agent = service.agent
    answers = await _play(service, agent)
    dump = await _rows(service.config.database) + _files(service.config.database)
    assert b"\xc2\xabbilling-key:" in dump, "it was masked where it had been"
    assert _reachable(dump, SECRET) == []
    assert ESCAPED.encode() not in dump
    for answer in answers:
        assert _reachable(answer.SerializeToString(), SECRET) == [], type(answer)


async def test_no_credential_and_no_token_is_in_any_table(service: Service) -> None:
    """Neither a shim's, nor an agent's, nor a person's."""
    agent = service.agent
    await _play(service, agent)
    dump = await _rows(service.config.database) + _files(service.config.database)
    for token in (service.shim_token, agent, agent.rpartition(".")[2]):
        assert _reachable(dump, token) == []
    keys = [path.read_text().strip() for path in service.config.data.glob("*.key")]
    assert len(keys) == 2
    for key in keys:
        assert bytes.fromhex(key) not in dump and key.encode() not in dump

"""Both streams together over one channel."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock._client import open_client
from penstock._core.verdict import Frame, FrameKind, Outcome, Verdict
from penstock.v1 import recording_pb2
from unit.penstock._client.fake_service import CONFIG, FakeService, allow, an_ask, running_service

pytestmark = pytest.mark.anyio

TOKEN = "psh" + "_x"


async def test_a_client_asks_and_records_with_its_token(tmp_path: Path) -> None:
    """Both streams open at start, carry the token, and work beside each other."""
    async with running_service(tmp_path) as service:
        client = open_client(service.address, TOKEN)
        await client.start()
        asking, recording = await service.decision_stream(), await service.recording_stream()
        assert asking.metadata["authorization"] == recording.metadata["authorization"] == f"Bearer {TOKEN}"
        configured = asyncio.Event()
        client.decider.on_config(lambda config: configured.set())
        asking.send(CONFIG)
        await asyncio.wait_for(configured.wait(), 10)
        answers: asyncio.Queue[Verdict] = asyncio.Queue()
        client.decider.ask(an_ask("a"), answers.put_nowait)
        asking.send(allow("a"))
        assert (await asyncio.wait_for(answers.get(), 10)).outcome is Outcome.ALLOW
        await client.close()
        assert client.decider.config() is None


async def test_closing_waits_for_the_acknowledgement(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A frame put just before the end is acknowledged before close returns."""
    async with running_service(tmp_path) as service:
        client = open_client(service.address, TOKEN)
        await client.start()
        recording = await service.recording_stream()
        client.recorder.put(Frame("c", FrameKind.END, 1, "billing", outcome="complete"))
        recording.send(recording_pb2.RecordResponse(acknowledged=0))
        closing = asyncio.create_task(client.close())
        assert (await recording.next()).frames[0].outcome == "complete"
        assert not closing.done()
        recording.send(recording_pb2.RecordResponse(acknowledged=1))
        await closing
        assert client.recorder.unacknowledged() == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_closing_without_acknowledgement_ends_and_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A silent service cannot keep the process alive."""
    async with running_service(tmp_path) as service:
        client = open_client(service.address, TOKEN)
        await client.start()
        client.recorder.put(Frame("c", FrameKind.END, 1, "billing"))
        await client.close(flush_s=0.05)
    assert "1 recorded frames were not acknowledged" in caplog.text


async def test_bad_addresses_and_tokens_are_refused_before_anything_opens() -> None:
    """The error says what is wrong and shows no token."""
    with pytest.raises(ValueError, match="HOST:PORT"):
        open_client("nowhere", TOKEN)
    with pytest.raises(ValueError, match="token"):
        open_client("unix:/x", "a b")


def certificate(folder: Path, name: str) -> tuple[bytes, bytes]:
    """Writes FOLDER/NAME.pem, a self-signed certificate for localhost; returns its PEM and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(pem)
    plain = serialization.NoEncryption()
    return pem, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


async def test_a_service_with_tls_is_verified_against_the_given_authority(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The right CA file connects; with another one nothing is sent to the service."""
    pem, key = certificate(tmp_path, "right")
    certificate(tmp_path, "wrong")
    service = FakeService(tmp_path)
    port = await service.start_tls(key, pem)
    client = open_client(f"localhost:{port}", TOKEN, tmp_path / "right.pem")
    other = open_client(f"localhost:{port}", TOKEN, tmp_path / "wrong.pem")
    try:
        await other.start()
        while "not reachable" not in caplog.text:  # noqa: ASYNC110 - a log record is all that a failed handshake leaves
            await asyncio.sleep(0.01)
        assert service.decisions.empty()
        await client.start()
        assert (await service.decision_stream()).metadata["authorization"] == f"Bearer {TOKEN}"
    finally:
        await client.close()
        await other.close()
        await service.stop()

"""Both streams together over one channel."""

import asyncio
import logging
from pathlib import Path

import pytest

from penstock._client import open_client
from penstock._core.verdict import Frame, FrameKind, Outcome, Verdict
from penstock.v1 import recording_pb2
from unit.penstock._client.fake_service import CONFIG, allow, an_ask, running_service

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

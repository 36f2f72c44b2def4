"""The Claude Agent SDK, with its bundled CLI, through the shim; it holds a Penstock token as its API key."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agents.claude_agent import TOOL, Run, run
from agents.governed import CAREFUL, FORBIDDEN, MODEL, REASON, RULE, Governed
from agents.messages import Block, say, think, use
from e2e.billing import EMAIL, LEAKED_KEY

pytestmark = [pytest.mark.agents, pytest.mark.anyio]

PROMPT = "what does tea cost?"


class Shopkeeper:
    """A model that looks a price up with the tool and then says what the tool returned; it thinks aloud if told to."""

    def __init__(self, item: str = "tea", *, thinking: bool = False) -> None:
        self.first = [think("a price is asked for; there is a tool")] if thinking else []
        self.first += [say("Let me see."), use(TOOL, item=item)]

    def __call__(self, request: dict[str, Any]) -> list[Block]:
        returned = results(request)
        return [say(f"The tool says {returned[-1]}.")] if returned else self.first


def results(request: dict[str, Any]) -> list[str]:
    """Returns the text of each tool result that a request carries."""
    turns = [turn["content"] for turn in request["messages"] if isinstance(turn["content"], list)]
    blocks = [block for content in turns for block in content if block["type"] == "tool_result"]
    return ["".join(part["text"] for part in block["content"]) for block in blocks]


async def _tea(item: str) -> str:
    return f"{item}: 4 EUR"


async def _run(governed: Governed, home: Path, model: str = MODEL) -> Run:
    return await run(PROMPT, governed.url, governed.token, model, home, _tea)


async def test_two_turns_with_a_tool_call(governed: Governed, tmp_path: Path) -> None:
    """The tool runs once, its result and the signed thinking come back upstream, and the key was put in by the shim."""
    governed.api.model = Shopkeeper(thinking=True)
    seen = await _run(governed, tmp_path)
    assert not seen.failed and seen.turns == 2
    assert seen.called == [{"item": "tea"}]
    assert seen.texts == ["Let me see.", "The tool says tea: 4 EUR."]
    assert len(governed.client.requests) == 2
    governed.assert_only_the_shim_held_the_key()
    first, second = governed.api.asked()
    assert results(first) == [] and results(second) == ["tea: 4 EUR"]
    assert "thinking" in json.dumps(second["messages"])
    decisions = governed.decisions()
    assert [decision["effect"] for decision in decisions] == ["allow", "allow"]
    assert all("agents-may-ask" in decision["rules"] for decision in decisions)


async def test_no_secret_reaches_the_agent_or_its_tool(governed: Governed, tmp_path: Path) -> None:
    """The tool is called with masked input, the user reads masked text, and the history goes back up masked."""
    governed.api.model = Shopkeeper(f"tea for {EMAIL} with {governed.key}")
    seen = await _run(governed, tmp_path)
    assert not seen.failed and len(seen.called) == 1
    item = seen.called[0]["item"]
    assert item.startswith("tea for «") and item.endswith("»") and "«anthropic-key:" in item
    told = json.dumps([seen.called, seen.texts, seen.result])
    assert governed.key not in told and EMAIL not in told
    assert results(governed.api.asked()[1]) == [f"{item}: 4 EUR"]
    governed.assert_only_the_shim_held_the_key()


async def test_secrets_in_text_are_masked(governed: Governed, tmp_path: Path) -> None:
    """What the user reads holds a mask's token in the place of each key, and everything else."""
    governed.api.model = lambda _: [say(f"I call with {governed.key}, she with {LEAKED_KEY}. Bye.")]
    seen = await _run(governed, tmp_path)
    assert not seen.failed
    (text,) = seen.texts
    assert text.startswith("I call with «anthropic-key:") and text.endswith("». Bye.") and text.count("«") == 2
    assert governed.key not in text and LEAKED_KEY not in text


async def test_a_turn_that_breaks_inside_a_tool_call_runs_no_tool(governed: Governed, tmp_path: Path) -> None:
    """The agent sees that the answer broke, asks again, and runs the tool of the whole answer alone."""
    governed.api.model = Shopkeeper("a pot of green tea")
    broke: list[bytes] = []

    def pace(event: bytes) -> None:
        if b"input_json_delta" in event and not broke:
            broke.append(event)
            raise ConnectionResetError

    governed.api.pace = pace
    seen = await _run(governed, tmp_path)
    assert len(broke) == 1 and not seen.failed
    assert seen.called == [{"item": "a pot of green tea"}]
    assert len(governed.client.requests) == 3
    governed.assert_only_the_shim_held_the_key()
    assert [decision["effect"] for decision in governed.decisions()] == ["allow"] * 3


async def test_a_denied_request_ends_the_turn_and_shows_the_reason(governed: Governed, tmp_path: Path) -> None:
    """One request, no retry, no tool call; the user reads rule and reason."""
    governed.api.model = Shopkeeper()
    seen = await _run(governed, tmp_path, FORBIDDEN)
    assert seen.failed and seen.called == []
    shown = " ".join([*seen.texts, seen.result])
    assert REASON in shown and RULE in shown
    assert len(governed.client.requests) == 1 and governed.api.requests == []
    assert governed.client.answered.startswith(b"HTTP/1.1 403 ")
    (decision,) = governed.decisions()
    assert decision["effect"] == "deny" and RULE in decision["rules"] and decision["reason"] == REASON


async def test_a_held_request_completes_once_a_person_approves(governed: Governed, tmp_path: Path) -> None:
    """The agent waits without a retry while a person looks at its request."""
    asked = asyncio.create_task(_run(governed, tmp_path, CAREFUL))
    await asyncio.to_thread(governed.approve)
    seen = await asked
    assert not seen.failed and seen.texts == ["hello"]
    assert len(governed.client.requests) == 1
    governed.assert_only_the_shim_held_the_key()


async def test_with_the_service_stopped_the_turn_ends_at_once(doomed: Governed, tmp_path: Path) -> None:
    """One request, answered with 503 and the header that tells the agent not to retry."""
    doomed.system.kill_service()
    seen = await _run(doomed, tmp_path)
    assert seen.failed and seen.called == []
    _assert_cut_off(doomed, 1)


async def test_a_service_that_stops_during_a_tool_call_ends_the_turn(doomed: Governed, tmp_path: Path) -> None:
    """The tool's result is not forwarded: the second request is refused, once."""
    doomed.api.model = Shopkeeper()

    async def stopping(item: str) -> str:
        await asyncio.to_thread(doomed.system.kill_service)
        return item

    seen = await run(PROMPT, doomed.url, doomed.token, MODEL, tmp_path, stopping)
    assert seen.failed and seen.called == [{"item": "tea"}]
    _assert_cut_off(doomed, 2)
    assert [results(request) for request in doomed.api.asked()] == [[]]


def _assert_cut_off(doomed: Governed, requests: int) -> None:
    """Fails unless the last of the client's requests was refused, without another one after it."""
    assert len(doomed.client.requests) == requests and len(doomed.api.requests) == requests - 1
    head = doomed.client.answered[doomed.client.answered.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 503 ") and b"\r\nx-should-retry: false" in head

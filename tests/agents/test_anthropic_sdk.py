"""The anthropic Python SDK through the shim; it holds a Penstock token as its API key and is otherwise as installed."""

import asyncio
import re
import threading
from typing import Any

import anthropic
import httpx2
import pytest

from agents.governed import CAREFUL, FORBIDDEN, MODEL, REASON, RULE, Governed
from agents.messages import say, think, use
from agents.messages_api import MODELS
from e2e.billing import CARD, EMAIL, LEAKED_KEY

pytestmark = pytest.mark.agents

BOTH_WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
PRICE = {"name": "price", "description": "Returns a price", "input_schema": {"type": "object"}}
ASK: anthropic.types.MessageParam = {"role": "user", "content": "what does tea cost?"}
PATIENCE_S = 20
"""How long the upstream waits for a client that has not read yet, seconds."""


@pytest.fixture
def client(governed: Governed) -> Any:
    """Makes the client a user would make, retries and all."""
    with anthropic.Anthropic(api_key=governed.token, base_url=governed.url) as made:
        yield made


def _ask(client: anthropic.Anthropic, streamed: bool, model: str = MODEL, **more: Any) -> Any:
    """Returns the message as the SDK puts it together."""
    request: dict[str, Any] = {"model": model, "max_tokens": 500, "messages": [ASK], **more}
    if not streamed:
        return client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        return stream.get_final_message()


@BOTH_WAYS
def test_the_client_has_a_token_and_the_upstream_gets_the_key(
    governed: Governed, client: anthropic.Anthropic, streamed: bool
) -> None:
    """The answer comes, the key was put in by the shim, the token stayed there, and one decision was logged."""
    answer = _ask(client, streamed)
    assert [block.text for block in answer.content] == ["hello"] and answer.stop_reason == "end_turn"
    assert len(governed.client.requests) == 1
    governed.assert_only_the_shim_held_the_key()
    (decision,) = governed.decisions()
    assert (decision["effect"], decision["method"], decision["resource"]) == ("allow", "POST", "/v1/messages")
    assert "agents-may-ask" in decision["rules"]


def test_a_token_in_the_authorization_header_is_as_good(governed: Governed) -> None:
    """The header that carried the token goes, the key comes in its own header."""
    with anthropic.Anthropic(auth_token=governed.token, base_url=governed.url) as client:
        assert _ask(client, False).content[0].text == "hello"
    governed.assert_only_the_shim_held_the_key()
    assert b"\r\nauthorization:" not in governed.api.requests[0].lower()


def test_headers_of_the_client_and_of_the_api_pass(governed: Governed, client: anthropic.Anthropic) -> None:
    """What names the API's version, its betas and the client arrives unchanged."""
    _ask(client, False, extra_headers={"anthropic-beta": "some-beta-2026-01-01"})
    (sent,), (arrived,) = governed.client.requests, governed.api.requests
    for name in (b"anthropic-version", b"anthropic-beta", b"user-agent", b"x-stainless-lang", b"content-type"):
        assert _header(arrived, name) == _header(sent, name) != b""


def test_events_arrive_in_order(governed: Governed, client: anthropic.Anthropic) -> None:
    """Every event of the stream comes through, and each block starts and stops once."""
    governed.api.model = lambda _: [say("tea"), use("price", item="tea")]
    with client.messages.create(
        model=MODEL, max_tokens=500, messages=[{"role": "user", "content": "?"}], stream=True
    ) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    changes = [kind for kind in kinds if kind.startswith("content_block_") and kind != "content_block_delta"]
    assert changes == ["content_block_start", "content_block_stop"] * 2
    assert kinds.index("content_block_delta") > kinds.index("content_block_start")


def test_text_arrives_while_the_answer_is_still_written(governed: Governed, client: anthropic.Anthropic) -> None:
    """The shim does not wait for the end of a stream: the upstream ends it only after the client has read the text."""
    read, waited = threading.Event(), []

    def pace(event: bytes) -> None:
        if b"message_stop" in event:
            waited.append(read.wait(PATIENCE_S))

    governed.api.pace = pace
    governed.api.model = lambda _: [say("tea costs 4 EUR")]
    text = ""
    with client.messages.stream(model=MODEL, max_tokens=500, messages=[ASK]) as stream:
        for piece in stream.text_stream:
            text += piece
            if text == "tea costs 4 EUR":
                read.set()
    assert waited == [True] and text == "tea costs 4 EUR"


@BOTH_WAYS
def test_secrets_in_an_answer_are_masked(governed: Governed, client: anthropic.Anthropic, streamed: bool) -> None:
    """The upstream's own key, somebody else's key, an address and a card are gone, cut into deltas or not."""
    secrets = (governed.key, LEAKED_KEY, EMAIL, CARD)
    governed.api.model = lambda _: [say(f"I call with {governed.key}, she with {LEAKED_KEY}: {EMAIL}, {CARD}. Bye.")]
    text = _ask(client, streamed).content[0].text
    for secret in secrets:
        assert secret not in text
    assert text.startswith("I call with «anthropic-key:") and text.endswith("». Bye.") and text.count("«") == 4


@BOTH_WAYS
def test_a_secret_in_a_tool_call_is_masked(governed: Governed, client: anthropic.Anthropic, streamed: bool) -> None:
    """The tool's input is still JSON, its other values and the call's id are as they were."""
    call = use("price", item="tea", note=f"key {governed.key} of {EMAIL}")
    governed.api.model = lambda _: [call]
    answer = _ask(client, streamed, tools=[PRICE])
    (block,) = answer.content
    assert (block.id, block.name, block.input["item"]) == (call["id"], "price", "tea")
    assert governed.key not in block.input["note"] and EMAIL not in block.input["note"]
    assert block.input["note"].startswith("key «anthropic-key:")


@BOTH_WAYS
def test_a_key_in_signed_thinking_breaks_the_answer(
    governed: Governed, client: anthropic.Anthropic, streamed: bool
) -> None:
    """Signed text cannot be masked, so the answer fails before the key is out, and is not asked for again."""
    governed.api.model = lambda _: [think(f"they call with {governed.key} here"), say("hello")]
    with pytest.raises((anthropic.InternalServerError, httpx2.RemoteProtocolError)):
        _ask(client, streamed)
    thought = b"".join(re.findall(rb'"thinking":"([^"]*)"', governed.client.answered))
    assert b"they call with ".startswith(thought)
    assert len(governed.client.requests) == 1


@BOTH_WAYS
def test_the_next_turn_brings_signed_thinking_back(
    governed: Governed, client: anthropic.Anthropic, streamed: bool
) -> None:
    """The API takes its thinking, with its signature, and the tool's result: nothing in between was changed."""
    call = use("price", item="tea")
    governed.api.model = lambda _: [think("the user wants a price; there is a tool"), say("Let me see."), call]
    first = _ask(client, streamed, tools=[PRICE])
    governed.api.model = lambda _: [say("4 EUR")]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "4 EUR"}]}
    history = [ASK, {"role": "assistant", "content": first.content}, result]
    assert _ask(client, streamed, messages=history, tools=[PRICE]).content[0].text == "4 EUR"
    governed.assert_only_the_shim_held_the_key()
    thought = governed.api.asked()[1]["messages"][1]["content"][0]
    assert thought["thinking"] == "the user wants a price; there is a tool"


@BOTH_WAYS
def test_a_denied_request_is_sent_once_and_shows_the_reason(
    governed: Governed, client: anthropic.Anthropic, streamed: bool
) -> None:
    """The SDK raises its error for 403, which says rule and reason; the upstream saw nothing."""
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        _ask(client, streamed, FORBIDDEN)
    assert REASON in raised.value.message and RULE in raised.value.message
    assert raised.value.body["error"]["type"] == "permission_error"  # type: ignore[index]  # a dict, as the API's are
    assert len(governed.client.requests) == 1 and governed.api.requests == []
    (decision,) = governed.decisions()
    assert decision["effect"] == "deny" and RULE in decision["rules"] and decision["reason"] == REASON


def test_what_no_rule_allows_is_denied(governed: Governed, client: anthropic.Anthropic) -> None:
    """Listing models is allowed by a rule of its own, counting tokens by none."""
    assert [model.id for model in client.models.list()] == list(MODELS)
    with pytest.raises(anthropic.PermissionDeniedError):
        client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "?"}])
    assert len(governed.client.requests) == 2 and len(governed.api.requests) == 1
    assert [decision["effect"] for decision in governed.decisions()] == ["allow", "deny"]


def test_a_stranger_s_token_opens_nothing(governed: Governed) -> None:
    """A key that is no Penstock token is refused, and never shown to the upstream."""
    with (
        anthropic.Anthropic(api_key="sk-" + "someone-elses", base_url=governed.url, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError) as raised,
    ):
        _ask(client, False)
    assert raised.value.status_code in {401, 403}
    assert governed.api.requests == []


def test_the_upstream_s_own_refusal_passes_unchanged(governed: Governed, client: anthropic.Anthropic) -> None:
    """The client sees the API's words for a request that it refuses."""
    stray = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "?"}]}
    with pytest.raises(anthropic.BadRequestError, match="unexpected tool_use_id in tool_result: toolu_1"):
        _ask(client, False, messages=[stray])
    assert len(governed.api.requests) == 1


@pytest.mark.anyio
async def test_a_held_request_completes_once_a_person_approves(governed: Governed) -> None:
    """The call waits in the shim without a retry, and returns the answer after the approval."""
    async with anthropic.AsyncAnthropic(api_key=governed.token, base_url=governed.url) as client:
        asked = asyncio.create_task(
            client.messages.create(model=CAREFUL, max_tokens=500, messages=[{"role": "user", "content": "?"}])
        )
        await asyncio.to_thread(governed.approve)
        answer = await asked
    assert answer.content[0].text == "hello"  # type: ignore[union-attr]  # the model answers with text alone
    assert len(governed.client.requests) == 1
    governed.assert_only_the_shim_held_the_key()


@BOTH_WAYS
def test_with_the_service_stopped_the_call_ends_at_once(doomed: Governed, streamed: bool) -> None:
    """One request, 503, and the header that tells the SDK not to retry."""
    with anthropic.Anthropic(api_key=doomed.token, base_url=doomed.url) as client:
        assert _ask(client, streamed).content[0].text == "hello"
        doomed.begin()
        doomed.system.kill_service()
        with pytest.raises(anthropic.APIStatusError) as raised:
            _ask(client, streamed)
    assert raised.value.status_code == 503
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(doomed.client.requests) == 1 and doomed.api.requests == []


def _header(request: bytes, name: bytes) -> bytes:
    """Returns a header's value, b"" if there is none."""
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return b""

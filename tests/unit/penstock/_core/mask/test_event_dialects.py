"""Which strings of an event continue which text."""

from typing import Any

import pytest

from penstock._core.mask.event_dialects import Channel, plan
from unit.penstock._core.mask.mask_samples import choice_delta, json_delta, text_delta


def _channel(value: Any, *path: str) -> Channel:
    channel = plan(value).channel(path)
    assert channel is not None
    return channel


def _ended(value: Any, channel: Channel) -> bool:
    return any(channel.key[: len(end)] == end for end in plan(value).ends)


def test_deltas_of_one_content_block_are_one_text() -> None:
    """Anthropic: told apart by the block's index and by what kind of text it is."""
    first = _channel(text_delta("a"), "delta", "text")
    assert _channel(text_delta("b"), "delta", "text").key == first.key
    assert _channel(text_delta("b", 1), "delta", "text").key != first.key
    assert _channel(json_delta("b"), "delta", "partial_json").key != first.key
    assert _channel(json_delta("b"), "delta", "partial_json").is_json
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}}
    assert _channel(start, "content_block", "text").key == first.key


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (text_delta("a"), ("type",)),
        (text_delta("a"), ("delta", "type")),
        ({"type": "ping"}, ("type",)),
        ({"type": "error", "error": {"message": "m"}}, ("error", "message")),
        ({"type": "message_start", "message": {"id": "m1", "model": "x"}}, ("message", "id")),
        ({"jsonrpc": "2.0", "result": {"text": "a"}}, ("result", "text")),
        (choice_delta("a"), ("id",)),
        ({"choices": [{"delta": {"role": "assistant"}}]}, ("choices", "0", "delta", "role")),
        ({"type": "response.completed", "delta": "a"}, ("delta",)),
        ({"type": "response.created", "response": {"id": "r"}}, ("response", "id")),
        ({"id": "a"}, ("id",)),
    ],
)
def test_labels_and_whole_messages_are_complete(value: Any, path: tuple[str, ...]) -> None:
    """They are no pieces of a text, and need not wait for more of it."""
    assert plan(value).channel(path) is None


def test_a_stopped_block_ends_its_texts_and_no_others() -> None:
    """Anthropic: content_block_stop ends one index, message_stop all."""
    zero, one = _channel(text_delta("a"), "delta", "text"), _channel(json_delta("a", 1), "delta", "partial_json")
    stop = {"type": "content_block_stop", "index": 0}
    assert (_ended(stop, zero), _ended(stop, one)) == (True, False)
    assert all(_ended({"type": "message_stop"}, channel) for channel in (zero, one))
    assert not any(_ended(value, zero) for value in (text_delta("a"), {"type": "ping"}, {"type": "message_delta"}))


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "thinking_delta", "signature_delta"])
@pytest.mark.parametrize("name", ["thinking", "signature", "data"])
def test_signed_texts_are_marked(kind: str, name: str) -> None:
    """Only known values are looked for in them, wherever in an event they stand."""
    events: list[tuple[Any, tuple[str, ...]]] = [
        ({"type": "content_block_delta", "index": 0, "delta": {"type": kind, name: "x"}}, ("delta", name)),
        (
            {"type": "content_block_start", "index": 0, "content_block": {name: "x", "type": kind}},
            ("content_block", name),
        ),
        ({"jsonrpc": "2.0", "result": {"type": kind, name: "x"}}, ("result", name)),
        ({"deep": [{"er": {"type": kind, name: "x"}}]}, ("deep", "0", "er", name)),
    ]
    for value, path in events:
        channel = _channel(value, *path)
        assert channel.signed
        assert channel.known_only


def test_choices_are_told_apart_by_their_index() -> None:
    """OpenAI: not by their place in the list; a finish_reason ends one choice."""
    zero = _channel(choice_delta("a", 0), "choices", "0", "delta", "content")
    one = _channel(choice_delta("a", 1), "choices", "0", "delta", "content")
    both = {"choices": [{"index": 1, "delta": {"content": "a"}}, {"index": 0, "delta": {"content": "b"}}]}
    assert zero.key != one.key
    assert _channel(both, "choices", "0", "delta", "content").key == one.key
    assert _channel(both, "choices", "1", "delta", "content").key == zero.key
    over = {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}
    assert (_ended(over, zero), _ended(over, one)) == (False, True)


def test_arguments_of_tool_calls_are_texts_of_their_own() -> None:
    """OpenAI: told apart by the call's index, and JSON."""

    def call(index: int) -> Channel:
        delta = {"tool_calls": [{"index": index, "function": {"arguments": "a"}}]}
        value = {"choices": [{"index": 0, "delta": delta}]}
        return _channel(value, "choices", "0", "delta", "tool_calls", "0", "function", "arguments")

    assert call(0).key == call(0).key != call(1).key
    assert call(0).is_json


def test_response_items_are_told_apart() -> None:
    """OpenAI responses: by type, output and content index; the completed response ends all."""

    def item(kind: str, output: int, content: int) -> Channel:
        value = {"type": kind, "output_index": output, "content_index": content, "delta": "a"}
        return _channel(value, "delta")

    text, arguments = "response.output_text.delta", "response.function_call_arguments.delta"
    channels = [item(text, 0, 0), item(text, 1, 0), item(text, 0, 1), item(arguments, 0, 0)]
    assert len({channel.key for channel in channels}) == 4
    assert item(text, 0, 0) == channels[0]
    assert channels[3].is_json
    assert all(_ended({"type": "response.completed"}, channel) for channel in channels)


def test_any_other_stream_continues_the_string_at_the_same_place() -> None:
    """Under the names that pieces have also detectors look across events, elsewhere only known values are."""
    text, other = _channel({"text": "a"}, "text"), _channel({"remark": "a"}, "remark")
    assert text.key == _channel({"x": 1, "text": "b"}, "text").key != other.key
    assert (text.alone, text.known_only) == (True, False)
    assert (other.alone, other.known_only) == (True, True)
    assert _channel({"index": 0, "text": "a"}, "text").key != _channel({"index": 1, "text": "a"}, "text").key
    assert _channel("a").alone


@pytest.mark.parametrize("index", [None, [], {}, [0], 1.5])
@pytest.mark.parametrize("kind", ["content_block_delta", "content_block_stop", "message_stop"])
def test_an_index_that_is_none_is_no_error(kind: str, index: Any) -> None:
    """What an upstream puts there is not trusted to be a number: such blocks are one text, which can end."""
    event = {"type": kind, "index": index, "delta": {"type": "text_delta", "text": "a"}}
    channel = _channel({**event, "type": "content_block_delta"}, "delta", "text")
    assert isinstance(hash(channel.key), int)
    assert _ended(event, channel) == (kind != "content_block_delta")

"""Knows which texts in the events of a stream are pieces of one longer text, and when that text ends.

In: one event's data as a value. Out: for the path of a string, the channel that it continues. Sources: the streaming
formats of the Anthropic Messages API, of OpenAI's chat completions and responses, JSON-RPC 2.0 (whose messages are
complete). For any other stream every string is taken to continue the one at the same path of the event before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SIGNED_KEYS", "SIGNED_TYPES", "TEXT_CHANNEL", "Channel", "Plan", "plan"]

SIGNED_TYPES = frozenset({"thinking", "redacted_thinking", "thinking_delta", "signature_delta"})
"""Types of Anthropic content that the API checks with a signature when it comes back: an edit breaks the session."""
SIGNED_KEYS = frozenset({"thinking", "signature", "data"})
"""The strings of such content."""
DELTA_KEYS = frozenset(
    [
        "text",
        "content",
        "delta",
        "partial_json",
        "arguments",
        "thinking",
        "reasoning",
        "reasoning_content",
        "refusal",
        "token",
        "chunk",
        "output",
        "output_text",
        "completion",
        "response",
        "generated_text",
        "answer",
        "message",
        "data",
        "value",
    ]
)
"""Names under which streams carry pieces of text; there also what detectors find may be cut by events."""
JSON_KEYS = frozenset({"partial_json", "arguments"})
"""Names under which the pieces make up JSON."""
LABEL_KEYS = frozenset(
    [
        "type",
        "id",
        "object",
        "model",
        "role",
        "event",
        "name",
        "created",
        "status",
        "finish_reason",
        "stop_reason",
        "system_fingerprint",
        "service_tier",
        "item_id",
        "call_id",
        "session_id",
        "obfuscation",
        "jsonrpc",
    ]
)
"""Names of strings that are never pieces of a text."""
PLACE_KEYS = ("index", "output_index", "content_index", "summary_index")
"""Members that tell apart texts which are told in turns."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Names one text that is told in pieces.

    known_only: only known values are looked for across pieces. alone: each piece may also be a text of its own, and
    nothing tells when there are no more.
    """

    key: tuple[object, ...]
    known_only: bool = False
    alone: bool = False
    is_json: bool = False
    signed: bool = False


_ANTHROPIC = frozenset(
    {"content_block_delta", "content_block_start", "message_start", "message_delta", "ping", "error"}
)
_RESPONSE_OVER = frozenset({"response.completed", "response.failed", "response.incomplete"})

TEXT_CHANNEL = Channel(("text",), alone=True)
"""The data of events that are not JSON."""


class Plan:
    """Says for one event which channel each of its strings continues, and which channels it ends."""

    def __init__(self, value: Any, ends: Sequence[tuple[object, ...]] = ()) -> None:
        self._value = value
        self.ends = ends
        """Beginnings of the keys of channels that end after this event; () is all."""

    def channel(self, path: tuple[str, ...]) -> Channel | None:
        """Returns the channel that the string at the path continues, None if it is complete."""
        holder, _ = _walk(self._value, path)
        kind = holder.get("type")
        if isinstance(kind, str) and kind in SIGNED_TYPES and path[-1] in SIGNED_KEYS:
            return self._signed(path)
        return self._channel(path)

    def _signed(self, path: tuple[str, ...]) -> Channel:
        return Channel(("signed", *path), known_only=True, signed=True)

    def _channel(self, path: tuple[str, ...]) -> Channel | None:
        return None


class _Anthropic(Plan):
    def _signed(self, path: tuple[str, ...]) -> Channel:
        return Channel(("block", _index_of(self._value), path[-1]), known_only=True, signed=True)

    def _channel(self, path: tuple[str, ...]) -> Channel | None:
        is_delta = self._value["type"] == "content_block_delta" and len(path) == 2 and path[0] == "delta"
        if (is_delta and path[1] not in LABEL_KEYS) or path == ("content_block", "text"):
            return Channel(("block", _index_of(self._value), path[1]), is_json=path[1] in JSON_KEYS)
        return None


class _OpenAiChat(Plan):
    def _channel(self, path: tuple[str, ...]) -> Channel | None:
        if len(path) < 3 or path[0] != "choices" or path[2] not in ("delta", "text"):
            return None
        if path[-1] in LABEL_KEYS:
            return None
        _, place = _walk(self._value, path)
        return Channel(("choice", *place), is_json=path[-1] in JSON_KEYS)


class _OpenAiResponses(Plan):
    def _channel(self, path: tuple[str, ...]) -> Channel | None:
        if path != ("delta",) or not self._value["type"].endswith(".delta"):
            return None
        _, place = _walk(self._value, path)
        return Channel(("item", self._value["type"], *place), is_json="arguments" in self._value["type"])


class _Generic(Plan):
    def _channel(self, path: tuple[str, ...]) -> Channel | None:
        name = next((part for part in reversed(path) if not part.isdigit()), "")
        if name in LABEL_KEYS:
            return None
        _, place = _walk(self._value, path)
        return Channel(("path", *place), name not in DELTA_KEYS and bool(path), alone=True, is_json=name in JSON_KEYS)


def plan(value: Any) -> Plan:
    """Returns the plan for an event with this data."""
    if not isinstance(value, dict):
        return _Generic(value)
    kind = value.get("type")
    if isinstance(kind, str):
        if kind in _ANTHROPIC:
            return _Anthropic(value)
        if kind == "content_block_stop":
            return _Anthropic(value, [("block", _index_of(value))])
        if kind == "message_stop":
            return _Anthropic(value, [()])
        if kind.startswith("response."):
            return _OpenAiResponses(value, [()] if kind in _RESPONSE_OVER else [])
    choices = value.get("choices")
    if isinstance(choices, list):
        over = [
            str(at) for at, choice in enumerate(choices) if isinstance(choice, dict) and choice.get("finish_reason")
        ]
        return _OpenAiChat(value, [("choice", *_walk(value, ("choices", at))[1]) for at in over])
    return Plan(value) if value.get("jsonrpc") == "2.0" else _Generic(value)


def _index_of(value: dict[str, Any]) -> int | str | None:
    """Returns the index of a content block, None if it is nothing that could be one."""
    index = value.get("index")
    return index if isinstance(index, int | str) else None


def _walk(value: Any, path: tuple[str, ...]) -> tuple[dict[str, Any], tuple[object, ...]]:
    """Returns the object that holds the string at the path, and the path with what tells its texts apart."""
    holder: dict[str, Any] = {}
    place: list[object] = []
    in_list = False
    for part in path:
        if isinstance(value, dict):
            holder = value
            keys = PLACE_KEYS[1:] if in_list else PLACE_KEYS
            place += [(key, value[key]) for key in keys if key != part and isinstance(value.get(key), int | str)]
            place.append(part)
            value = value.get(part)
            in_list = False
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
            index = value.get("index") if isinstance(value, dict) else None
            place.append(index if isinstance(index, int) else int(part))  # some tell one choice at a time
            in_list = True
        else:
            break
    return holder, tuple(place)

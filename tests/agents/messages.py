"""The wire form of Anthropic's Messages API: what a request must hold, and an answer as JSON or as events.

Source: the public API reference and what the two real clients send; checked is what a shim in between could break.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

__all__ = ["PIECE", "Block", "Refused", "check", "events", "message", "say", "sign", "think", "use"]

Block = dict[str, Any]
"""One content block of an answer: of type text, thinking or tool_use."""

PIECE = 5
"""Characters of text, or of a tool's input, in each delta: no secret fits into one."""


class Refused(Exception):
    """Says why a request is not answered: HTTP status, the API's error type, text."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind

    def body(self) -> bytes:
        """Returns the error as the API writes it."""
        return _dump({"type": "error", "error": {"type": self.kind, "message": str(self)}, "request_id": "req_test"})


def say(text: str) -> Block:
    """Returns a block of text."""
    return {"type": "text", "text": text}


def think(text: str) -> Block:
    """Returns a block of thinking; the API signs it."""
    return {"type": "thinking", "thinking": text}


def use(name: str, **arguments: Any) -> Block:
    """Returns a block that calls a tool."""
    identity = hashlib.sha256(_dump([name, arguments])).hexdigest()[:24]
    return {"type": "tool_use", "id": f"toolu_{identity}", "name": name, "input": arguments}


def sign(key: str, thinking: str) -> str:
    """Returns the signature under which a block of thinking may come back in a later turn."""
    return base64.b64encode(hmac.digest(key.encode(), thinking.encode(), "sha256")).decode()


def check(request: Any, key: str) -> None:
    """Raises Refused for what the real API refuses with 400: missing fields, altered thinking, stray tool results."""
    if not isinstance(request, dict):
        raise _invalid("the body must be a JSON object")
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(request.get(name), kind):
            raise _invalid(f"{name}: field required")
    called: set[str] = set()
    for number, turn in enumerate(request["messages"]):
        content = turn["content"] if isinstance(turn["content"], list) else []
        answered = {block["tool_use_id"] for block in content if block["type"] == "tool_result"}
        if stray := answered - called:
            raise _invalid(f"messages.{number}: unexpected tool_use_id in tool_result: {', '.join(stray)}")
        if missing := called - answered:
            raise _invalid(f"messages.{number}: tool_use ids without tool_result: {', '.join(missing)}")
        called = {block["id"] for block in content if block["type"] == "tool_use"}
        for block in content:
            if block["type"] == "thinking" and block.get("signature") != sign(key, block["thinking"]):
                raise _invalid(f"messages.{number}: invalid signature in thinking block")


def message(request: dict[str, Any], content: list[Block]) -> dict[str, Any]:
    """Returns the whole answer."""
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": "msg_" + hashlib.sha256(_dump(content)).hexdigest()[:24],
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": len(request["messages"]), "output_tokens": len(content)},
    }


def events(whole: dict[str, Any]) -> list[bytes]:
    """Returns the server-sent events that carry an answer, in order."""
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    sent = [_event("message_start", message=start), _event("ping")]
    for index, block in enumerate(whole["content"]):
        empty, deltas = _parts(block)
        sent.append(_event("content_block_start", index=index, content_block=empty))
        sent += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        sent.append(_event("content_block_stop", index=index))
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    return [*sent, _event("message_delta", delta=stop, usage=usage), _event("message_stop")]


def _parts(block: Block) -> tuple[Block, list[Block]]:
    """Returns a block as it starts, and its deltas."""
    if block["type"] == "text":
        texts = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        return {**block, "text": ""}, texts
    if block["type"] == "thinking":
        thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*thoughts, signature]
    inputs = _pieces(json.dumps(block["input"], ensure_ascii=False))
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in inputs]


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + _dump({"type": kind, **fields}) + b"\n\n"


def _invalid(text: str) -> Refused:
    return Refused(400, "invalid_request_error", text)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

"""The Messages API of tests/agents is honest: nothing without its key, and no history that somebody changed."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agents.messages import PIECE, say, sign, think, use
from agents.messages_api import MODELS, MessagesApi

KEY = "messages-" + "key-for-tests"
TURN = {"role": "user", "content": "what does tea cost?"}


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    """Serves the API in this process; its model says hello."""
    served = MessagesApi(KEY, lambda _: [say("hello, who is there?")])
    yield served
    served.close()


def _ask(
    api: MessagesApi, method: str = "POST", path: str = "/v1/messages?beta=true", body: object = None, key: str = KEY
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    try:
        headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _turns(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "any", "max_tokens": 9, "messages": list(turns), **more}


def _events(body: bytes) -> list[dict[str, Any]]:
    """Returns the data of each event, after checking that its name says the same."""
    found = []
    for event in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


@pytest.mark.parametrize("key", ["", "another-key"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/messages"), ("GET", "/v1/models")])
def test_without_its_key_it_gives_nothing(api: MessagesApi, method: str, path: str, key: str) -> None:
    """No key or a wrong one is a 401 in the API's own form."""
    status, body = _ask(api, method, path, _turns(TURN), key)
    assert status == 401 and json.loads(body)["error"]["type"] == "authentication_error"


def test_it_answers_whole(api: MessagesApi) -> None:
    """Without stream the message is one JSON object."""
    status, body = _ask(api, body=_turns(TURN))
    message = json.loads(body)
    assert (status, message["content"]) == (200, [say("hello, who is there?")])
    assert (message["role"], message["model"], message["stop_reason"]) == ("assistant", "any", "end_turn")


def test_it_streams_in_small_pieces(api: MessagesApi) -> None:
    """Each block starts, comes in pieces of five characters at most, and stops once; joined they are the block."""
    call = use("price", item="a pot of tea", note="größer")
    api.model = lambda _: [think("a tool will know"), say("Let me see."), call]
    events = _events(_ask(api, body=_turns(TURN, stream=True))[1])
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    for index, (kind, whole) in enumerate(
        [("thinking", "a tool will know"), ("text", "Let me see."), ("partial_json", json.dumps(call["input"]))]
    ):
        inner = [event for event in events if event.get("index") == index]
        assert (inner[0]["type"], inner[-1]["type"]) == ("content_block_start", "content_block_stop")
        pieces = [event["delta"][kind] for event in inner[1:-1] if kind in event["delta"]]
        assert max(map(len, pieces)) == PIECE
        joined = "".join(pieces)
        assert json.loads(joined) == json.loads(whole) if kind == "partial_json" else joined == whole


def test_its_streams_can_break(api: MessagesApi) -> None:
    """A pace that raises ConnectionError hangs up before that event, without an end of the body."""

    def pace(event: bytes) -> None:
        if b"content_block_stop" in event:
            raise ConnectionResetError

    api.pace = pace
    with pytest.raises(http.client.IncompleteRead) as raised:
        _ask(api, body=_turns(TURN, stream=True))
    assert _events(raised.value.partial)[-1]["type"] == "content_block_delta"
    assert _ask(api, body=_turns(TURN))[0] == 200


def test_it_takes_back_only_what_it_signed(api: MessagesApi) -> None:
    """Thinking may come back in a later turn exactly as it went out."""
    for thinking, status in (("a tool will know", 200), ("a tool  will know", 400)):
        signed = {"type": "thinking", "thinking": thinking, "signature": sign(KEY, "a tool will know")}
        assert _ask(api, body=_turns(TURN, {"role": "assistant", "content": [signed]}, TURN))[0] == status


def test_it_wants_a_result_for_each_tool_call(api: MessagesApi) -> None:
    """A result without its call, or a call without its result, is refused."""
    call = use("price", item="tea")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "4 EUR"}]}
    called = {"role": "assistant", "content": [call]}
    for turns, status in (((TURN, called, result), 200), ((TURN, result), 400), ((TURN, called, TURN), 400)):
        assert _ask(api, body=_turns(*turns))[0] == status


@pytest.mark.parametrize("body", [[], {"model": "any", "max_tokens": 9}, {"max_tokens": 9, "messages": []}])
def test_it_refuses_half_a_request(api: MessagesApi, body: object) -> None:
    """What the API must have is asked for."""
    status, answer = _ask(api, body=body)
    assert status == 400 and json.loads(answer)["error"]["type"] == "invalid_request_error"


def test_it_answers_what_clients_may_ask_besides(api: MessagesApi) -> None:
    """The list of models, a count of tokens, and whether anybody is there; nothing else exists."""
    assert [model["id"] for model in json.loads(_ask(api, "GET", "/v1/models")[1])["data"]] == list(MODELS)
    assert json.loads(_ask(api, path="/v1/messages/count_tokens", body=_turns(TURN))[1])["input_tokens"] > 0
    assert _ask(api, "HEAD", "/", key="") == (200, b"")
    assert _ask(api, "GET", "/v1/files")[0] == 404


def test_it_keeps_what_arrived_and_keeps_connections(api: MessagesApi) -> None:
    """Requests of one connection are answered in order, and kept byte for byte."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    ports = set()
    try:
        for stream in (True, False):
            connection.request("POST", "/v1/messages", json.dumps(_turns(TURN, stream=stream)), headers)
            assert b"end_turn" in connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
    finally:
        connection.close()
    assert len(ports) == 1
    assert all(raw.startswith(b"POST /v1/messages HTTP/1.1\r\n") and b"x-api-key: " in raw for raw in api.requests)
    assert api.asked() == [_turns(TURN, stream=True), _turns(TURN, stream=False)]

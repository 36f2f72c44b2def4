"""Event streams, as their clients read them: texts told in pieces, whole values, order, and what is refused."""

import json
from typing import Any

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.verdict import KnownValue
from unit.penstock._core.mask.mask_samples import (
    EMAIL,
    KEY,
    KNOWN,
    SECRET,
    SSE,
    TEXT,
    a_masker,
    choice_delta,
    datas,
    events,
    fed,
    json_delta,
    pieces,
    same_however_cut,
    split,
    text_delta,
    token,
    told,
    whole,
)

TOKEN = token("db", SECRET)
STOP = {"type": "content_block_stop", "index": 0}
ENDS: list[Any] = [STOP, {"type": "message_stop"}]


def _call(text: str, index: int = 0) -> dict[str, Any]:
    delta = {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _response(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}


CHANNELS: list[tuple[Any, tuple[str | int, ...]]] = [
    (text_delta, ("delta", "text")),
    (json_delta, ("delta", "partial_json")),
    (choice_delta, ("choices", 0, "delta", "content")),
    (_call, ("choices", 0, "delta", "tool_calls", 0, "function", "arguments")),
    (_response, ("delta",)),
    (lambda text: {"text": text}, ("text",)),
    (lambda text: {"remark": text}, ("remark",)),
    (lambda text: {"a": [{"b": text}]}, ("a", 0, "b")),
    (lambda text: text, ()),
]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("number", range(len(CHANNELS)))
def test_a_secret_split_over_deltas_becomes_one_token(number: int, size: int) -> None:
    """In every dialect, with deltas of 1 to 5 characters: the text around it stays, the token is whole and one."""
    make, path = CHANNELS[number]
    text = f'{{"a": "{TEXT}", "b": "or {TEXT}!"}}'
    stream = events(*[make(part) for part in split(text, size)], b"[DONE]")
    masked = whole(a_masker(), SSE, stream)
    assert told(masked, *path).removesuffix("[DONE]") == text.replace(TEXT, TOKEN)
    assert len(datas(masked)) == len(datas(stream))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_what_a_detector_finds_may_be_split_as_well(size: int) -> None:
    """The token is that of the whole match."""
    masker = a_masker(detectors=["email"])
    expected = masker.whole("text/plain", "", f"to {EMAIL} now".encode(), key=KEY).data.decode()
    for make, path in (CHANNELS[0], CHANNELS[2], CHANNELS[5]):
        stream = events(*[make(part) for part in split(f"to {EMAIL} now", size)])
        assert told(whole(masker, SSE, stream), *path) == expected


def test_one_secret_has_one_token_however_it_is_cut() -> None:
    """Every cut of it in two, over two events."""
    tokens = {
        told(whole(a_masker(), SSE, events(*[text_delta(t) for t in (TEXT[:at], TEXT[at:])])), "delta", "text")
        for at in range(len(TEXT) + 1)
    }
    assert tokens == {TOKEN}


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_nothing_depends_on_how_the_bytes_are_cut(newline: bytes) -> None:
    """With any line ends, a BOM, comments, ids, a retry, several data lines, and a last event without a blank line."""
    parts = [
        b"\xef\xbb\xbf: hello " + SECRET,
        b"",
        b"id: 7" + newline + b"event: " + SECRET + newline + b'data: {"text":"zQ8\\/v"}',
        b"",
        b"retry: 100",
        b'data: {"text":"T2+kW5nR7xY "}',
        b"",
        b"data: {" + newline + b'data: "a": "' + SECRET + b'"}',
        b"",
        b"data: plain " + SECRET[:8],
        b"",
        b"data: " + SECRET[8:],
    ]
    masked = same_however_cut(a_masker(), SSE, newline.join(parts))
    assert SECRET not in masked
    assert masked.count(TOKEN.encode()) == 5
    assert masked.startswith(b"\xef\xbb\xbf: hello " + TOKEN.encode() + newline)


def test_what_holds_nothing_stays_as_it_is() -> None:
    """Blanks, escapes, order of keys, unknown fields, and odd line ends."""
    stream = (
        b'\n\ndata:{ "text" : "a\\/\\u0041" }\r\ndata\r\n\r\n: c\rid:1\r\rfoo: bar\n\ndata: \xff\n\n'
        b'data: {"text":"x"}\n\ndata: {"text":"y"}\n\ndata: {"x"\n\ndata: [DONE]\n\ndata: {"text": 1}'
    )
    assert same_however_cut(a_masker(), SSE, stream) == stream
    result = a_masker().whole(SSE, "", stream, key=KEY)
    assert result.data is stream
    assert result.counts == {}


def test_events_keep_their_order_and_wait_behind_held_text() -> None:
    """Nothing overtakes text that may still turn out to be a secret; with its end all goes out."""
    body = a_masker().body(SSE, "", key=KEY)
    first, other, ping = events(text_delta("a " + TEXT[:6])), events(text_delta("b", 1)), events({"type": "ping"})
    assert body.feed(first) == b""
    assert body.feed(other + ping) == b""
    assert body.feed(events(text_delta("!"))) == first + other + ping + events(text_delta("!"))
    assert body.feed(ping) == ping


def test_a_ping_does_not_wait_when_nothing_is_held() -> None:
    """Text that can be no secret goes out with its own event."""
    body = a_masker(KNOWN, detectors=["secrets"]).body(SSE, "", key=KEY)
    for event in (text_delta("Hello, "), {"type": "ping"}, text_delta("world. "), {"type": "ping"}):
        assert body.feed(events(event)) == events(event)
    assert body.feed(b": comment\n\n") == b": comment\n\n"


def test_others_do_not_wait_for_ever() -> None:
    """Held text is let go, or taken for a secret, before a thousand pings have passed."""
    body = a_masker().body(SSE, "", key=KEY)
    assert body.feed(events(text_delta(TEXT[:6]))) == b""
    assert any(body.feed(events({"type": "ping"})) for _ in range(1000))


@pytest.mark.parametrize(
    "end",
    [events(STOP), events({"type": "message_stop"}), events(b"[DONE]"), events({"choices": []}, b"[DONE]"), b""],
)
def test_the_end_of_a_text_lets_it_go(end: bytes) -> None:
    """content_block_stop, message_stop, [DONE] and the end of the stream; what was held goes before that event."""
    body = a_masker().body(SSE, "", key=KEY)
    held = events(text_delta(TEXT[:6]))
    assert body.feed(held) == b""
    out = body.feed(end)
    assert out + body.finish() == held + end
    assert bool(out) == bool(end)


def test_an_ended_choice_lets_only_its_own_text_go() -> None:
    """OpenAI: a finish_reason in the chunk that tells the last piece."""
    body = a_masker().body(SSE, "", key=KEY)
    assert body.feed(events(choice_delta("a " + TEXT[:6], 0))) == b""
    over = choice_delta("", 1)
    over["choices"][0]["finish_reason"] = "stop"
    assert body.feed(events(over)) == b""
    over = choice_delta("", 0)
    over["choices"][0]["finish_reason"] = "stop"
    assert told(body.feed(events(over)), "choices", 0, "delta", "content") == "a " + TEXT[:6]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_two_texts_told_in_turns_are_kept_apart(size: int) -> None:
    """A secret in each, and what would be one only if they were mixed up."""
    zero, one = split(f"zero {TEXT}, {TEXT[:5]}", size), split(f"{TEXT[5:]} one {TEXT}.", size)
    turns = [
        event
        for at in range(max(len(zero), len(one)))
        for event in ([text_delta(zero[at])] if at < len(zero) else [])
        + ([text_delta(one[at], 1)] if at < len(one) else [])
    ]
    masked = whole(a_masker(), SSE, events(*turns))
    told_by = {0: "", 1: ""}
    for value in datas(masked):
        told_by[value["index"]] += value["delta"]["text"]
    assert told_by == {0: f"zero {TOKEN}, {TEXT[:5]}", 1: f"{TEXT[5:]} one {TOKEN}."}
    assert [value["index"] for value in datas(masked)] == [value["index"] for value in turns]


def test_texts_of_two_blocks_are_not_one() -> None:
    """What follows a stopped block under the same index is a new text."""
    stream = events(text_delta(TEXT[:6]), STOP, text_delta(TEXT[6:]))
    masked = whole(a_masker(), SSE, stream)
    assert masked == stream


@pytest.mark.parametrize("size", [1, 4, 9, 200])
def test_the_input_of_a_tool_stays_json(size: int) -> None:
    """What is masked inside of a string or in the place of a number leaves JSON that can be read."""
    number = 4111 * 10**12 + 111111111111
    tool = json.dumps({"dsn": f"pg://u:{TEXT}@h", "n": number, "say": 'a "quoted" \\ word', "last": TEXT})
    masker = a_masker(KNOWN, KnownValue("card", str(number).encode()))
    for make, path in (CHANNELS[1], CHANNELS[3]):
        masked = whole(masker, SSE, events(*[make(part) for part in split(tool, size)]))
        value = json.loads(told(masked, *path))
        assert TEXT not in str(value)
        assert str(number) not in str(value)
        assert value["say"] == 'a "quoted" \\ word'
        assert value["last"] == TOKEN
        assert value["dsn"] == f"pg://u:{TOKEN}@h"


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        [[TEXT]],
        {"type": 1, "text": TEXT},
        {"type": TEXT},
        {TEXT: 1},
        {"type": "content_block_delta", "delta": TEXT},
        {"type": "content_block_start", "content_block": {"text": TEXT, "input": {"a": TEXT}}},
        {"type": "message_start", "message": {"content": [{"type": "text", "text": TEXT}]}},
        {"choices": TEXT},
        {"choices": [None, 1, TEXT, {"delta": None, "finish_reason": TEXT}]},
        {"choices": [{"index": [], "delta": {"content": [TEXT]}}]},
        {"type": "response.x.delta", "delta": {"a": TEXT}},
        {"type": "response.completed", "response": {"output": [{"content": [{"text": TEXT}]}]}},
        {"jsonrpc": "2.0", "id": TEXT, "result": {"content": [{"type": "text", "text": json.dumps({"k": TEXT})}]}},
        {"error": {"message": TEXT}},
        {"id": TEXT, "object": TEXT, "model": TEXT, "name": TEXT, "role": TEXT},
    ],
)
def test_a_secret_in_any_place_of_any_event_is_masked(value: Any) -> None:
    """Also where an event is not as its dialect has it; nothing odd is an error."""
    stream = events(value, value)
    masked = whole(a_masker(), SSE, stream)
    assert TEXT not in masked.decode()
    assert masked.decode().count(TOKEN) == stream.decode().count(TEXT)
    assert len(datas(masked)) == 2


def test_secrets_in_lines_that_are_no_data_are_masked() -> None:
    """ids, event names, comments, unknown fields."""
    stream = b"id: %s\nevent: %s\n: %s\nfoo: %s\nretry: %s\ndata: x\n\n" % ((SECRET,) * 5)
    masked = whole(a_masker(), SSE, stream)
    assert masked == stream.replace(SECRET, TOKEN.encode())


def test_the_endpoint_of_mcp_is_not_held() -> None:
    """Clients of its older transport wait for this first event and send nothing before."""
    body = a_masker(KNOWN, detectors=["secrets"]).body(SSE, "", key=KEY)
    event = b"event: endpoint\ndata: /messages?session=" + b"zQ8\n\n"
    assert body.feed(event) == event
    assert SECRET not in body.feed(b"event: endpoint\ndata: /" + SECRET + b"\n\n")


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("name", ["thinking", "signature"])
def test_a_known_value_in_signed_thinking_raises(name: str, size: int) -> None:
    """However it is split; no byte of it has gone out by then."""
    body = a_masker().body(SSE, "", key=KEY)
    out = b""

    def feed() -> None:
        nonlocal out
        for part in split(f"I see {TEXT} there", size):
            delta = {"type": f"{name}_delta", name: part}
            out += body.feed(events({"type": "content_block_delta", "index": 0, "delta": delta}))
        out += body.finish()

    with pytest.raises(Unmaskable, match="signed") as raised:
        feed()
    assert TEXT not in raised.value.reason
    assert TEXT[:4] not in told(out, "delta", name)


def test_signed_thinking_is_never_edited() -> None:
    """What detectors would find in it stays; beside it they go on finding."""
    thinking = [{"type": "thinking_delta", "thinking": part} for part in ("of ", EMAIL, " I think")]
    signature = {"type": "signature_delta", "signature": f"{EMAIL}=="}
    signed = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in [*thinking, signature]]
    redacted = {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "redacted_thinking", "data": EMAIL},
    }
    stream = events(*signed, STOP, redacted)
    masker = a_masker(KNOWN, detectors=["all"])
    assert whole(masker, SSE, stream) == stream
    assert EMAIL not in whole(masker, SSE, stream + events(text_delta(EMAIL, 2))).removeprefix(stream).decode()


def test_endless_lines_and_events_are_refused() -> None:
    """Not held without bound, not let through."""
    for piece in (b"data: " + b"x" * 65536, b"data: x\n" * 8192, b":" + b"x" * 65536):
        body = a_masker().body(SSE, "", key=KEY)
        with pytest.raises(Unmaskable, match="event"):
            for _ in range(40):
                assert body.feed(piece) == b""


def test_too_much_behind_held_text_is_refused() -> None:
    """A begun secret cannot make the masker hold a stream without bound."""
    body = a_masker().body(SSE, "", key=KEY)
    body.feed(events(text_delta(TEXT[:6])))
    with pytest.raises(Unmaskable, match="waits"):
        for _ in range(30):
            body.feed(events({"type": "content_block_start", "index": 1, "content_block": {"pad": "x" * 100_000}}))


def test_pointers_name_places_in_the_data_of_each_event() -> None:
    """Strings, numbers, and whole objects; pieces of a text that is named are masked one by one."""
    masker = a_masker(json=["/user/name", "/items/*/price", "/card", "/text"])
    stream = events({"user": {"name": "Ada", "id": 1}, "items": [{"price": 5}, {"price": [1]}], "card": {"n": 1}})
    first = datas(whole(masker, SSE, stream))[0]
    assert first["user"]["id"] == 1
    masked = [first["user"]["name"], first["items"][0]["price"], first["items"][1]["price"], first["card"]]
    assert all(value.startswith("«json:") for value in masked)
    pair = same_however_cut(masker, SSE, events({"text": "Hello"}, {"text": " Ada"}))
    assert "Hello" not in pair.decode()
    assert "Ada" not in pair.decode()


def test_many_texts_at_the_same_time_are_bounded() -> None:
    """A stream that begins ever more texts makes the masker forget old ones, and neither fail nor hold all of it."""
    body = a_masker().body(SSE, "", key=KEY)
    out = b"".join(body.feed(events({"index": at, "text": "hello"})) for at in range(2000)) + body.finish()
    assert len(datas(out)) == 2000


def test_bytes_may_come_one_by_one() -> None:
    """A secret in deltas of one character, over bytes that come singly."""
    stream = events(*[text_delta(char) for char in f"é {TEXT} 😀"], *ENDS)
    masked = fed(a_masker(), SSE, pieces(stream, 1))
    assert told(masked, "delta", "text") == f"é {TOKEN} 😀"
    assert masked == whole(a_masker(), SSE, stream)


@pytest.mark.parametrize("begin", [b"", b" ", b"  ", b"\t", b"\ndata: ", b" \ndata:\ndata:  "])
def test_blanks_before_the_json_of_an_event_hide_nothing(begin: bytes) -> None:
    """Also when it is written over several lines."""
    stream = b"".join(b"data:" + begin + b'{"text":\ndata: "' + part + b'"}\n\n' for part in (SECRET[:8], SECRET[8:]))
    masked = same_however_cut(a_masker(), SSE, stream)
    assert masked == stream.replace(SECRET[:8], TOKEN.encode()).replace(SECRET[8:], b"")


def test_a_piece_that_looks_complete_is_a_piece_as_well() -> None:
    """Brackets, or another secret that is masked as a whole string only, in the midst of a known value."""
    masker = a_masker(KnownValue("db", b"k9[]4711Wq2xyzuv"), KnownValue("pin", b"4711"))
    stream = events(*[{"text": part} for part in ("k9", "[]", "4711", "Wq2xyzuv")])
    masked = same_however_cut(masker, SSE, stream)
    assert told(masked, "text") == token("db", b"k9[]4711Wq2xyzuv")
    assert "«pin:" in told(same_however_cut(masker, SSE, events({"text": "4711"})), "text")


@pytest.mark.parametrize(
    ("event", "after"),
    [
        (b'{"text":"XX","text":"%s"}', b'{"text":"YY","text":"%s"}'),
        (b'{"a":{"text":"%s"},"a":{}}', b'{"a":{"text":"%s"}}'),
        (b'{"a":{"text":"X"},"a":{"text":"%s"}}', b'{"a":{"text":"%s"}}'),
    ],
)
def test_duplicate_keys_hide_nothing(event: bytes, after: bytes) -> None:
    """Of two members with one key readers take the last: it is the piece."""
    masked = same_however_cut(a_masker(), SSE, events(event % SECRET[:8], after % SECRET[8:]))
    assert SECRET[8:] not in masked
    assert masked.count(TOKEN.encode()) == 1


@pytest.mark.parametrize("extra", [b"9" * 5000, b"-" + b"9" * 5000, b"1e99999", b"[" * 400 + b"]" * 400, b"NaN"])
def test_odd_values_beside_a_piece_hide_nothing(extra: bytes) -> None:
    """Integers that Python would not read, numbers without bound, deep nesting."""
    stream = events(*[b'{"n":%s,"text":"%s"}' % (extra, part) for part in (SECRET[:8], SECRET[8:])])
    masked = whole(a_masker(), SSE, stream)
    assert SECRET[8:] not in masked
    assert masked.count(TOKEN.encode()) == 1


def test_an_event_nested_too_deep_is_refused() -> None:
    """Its text cannot be told, and some client could read it."""
    stream = events(b'{"n":%s,"text":"x"}' % (b"[" * 5000 + b"]" * 5000))
    with pytest.raises(Unmaskable, match="deep"):
        whole(a_masker(), SSE, stream)


def test_a_huge_event_is_refused_however_it_comes() -> None:
    """At once, in pieces, or with its end in one piece with what precedes it."""
    stream = events({"text": "x" * (1 << 20)})
    for chunks in ([stream], pieces(stream, 65536), [stream[:-1], stream[-1:]]):
        with pytest.raises(Unmaskable, match="event"):
            fed(a_masker(), SSE, chunks)


def test_a_secret_survives_pings_between_its_halves() -> None:
    """A service that is slow sends some; the text goes on after them."""
    for make, path in CHANNELS[:8]:
        stream = events(make(TEXT[:8]), *[{"type": "ping"}] * 30, make(TEXT[8:]))
        assert told(whole(a_masker(), SSE, stream), *path).strip('"') == TOKEN

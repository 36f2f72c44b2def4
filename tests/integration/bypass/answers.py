"""Items 11 and 12: secrets in answers, split, wrapped, and in events that parsers read in several ways.

The upstream here sends its own credential back. Whatever the agent gets must not hold it, in no reading.
"""

import base64
import gzip
import json
import zlib
from dataclasses import replace
from urllib.parse import quote

from integration.bypass.case import Case, chunked, request
from integration.bypass.policy import SECRET

__all__ = ["CASES"]

TEXT = "text/plain"
EVENTS = "text/event-stream"
JSON = "application/json"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNMASKABLE = ("502 answer_unmaskable",)
HALF = len(SECRET) // 2


def replied(
    row: str, name: str, reply: bytes, answers: tuple[str, ...] = ("200",), shown: tuple[bytes, ...] = ()
) -> Case:
    """Returns a request that is answered with these bytes, in which the agent must not find the secret."""
    return Case(row, name, request("/m/x"), answers, ("/x",), reply=reply, shown=shown, hidden=(SECRET,))


def answered(
    row: str, name: str, kind: str, *pieces: bytes, head: bytes = b"", answers: tuple[str, ...] = ("200",)
) -> Case:
    """Returns a request that is answered with that body, in these chunks."""
    reply = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n".encode() + head
    return replied(row, name, reply + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces), answers)


def whole(
    row: str, name: str, kind: str, body: bytes, *, head: bytes = b"", answers: tuple[str, ...] = ("200",)
) -> Case:
    """Returns the same with a length."""
    reply = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode() + head
    return replied(row, name, reply + b"\r\n" + body, answers)


def field(name: str, line: bytes, answers: tuple[str, ...] = ("200",)) -> Case:
    """Returns an answer whose head holds the secret."""
    return replied("11", name, b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n", answers)


def held(case: Case) -> Case:
    """Returns the case where the whole answer is held back: this shim does not decode it."""
    return replace(case, answers=UNMASKABLE)


def anthropic(*texts: bytes, kind: str = "text_delta", key: str = "text") -> bytes:
    """Returns events of the Messages API, a delta each."""
    events = b""
    for text in texts:
        data = {"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: text.decode()}}
        events += b"event: content_block_delta\ndata: " + json.dumps(data).encode() + b"\n\n"
    return events


def openai(*texts: bytes) -> bytes:
    """Returns events of the Chat Completions API, a delta each."""
    chunks = [json.dumps({"choices": [{"index": 0, "delta": {"content": text.decode()}}]}) for text in texts]
    return b"".join(f"data: {chunk}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def cut(data: bytes, size: int) -> tuple[bytes, ...]:
    """Returns data in pieces of that size."""
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def escaped(data: bytes) -> bytes:
    """Returns data as JSON escapes."""
    return b"".join(b"\\u%04x" % octet for octet in data)


ESCAPES = b'{"a": "' + escaped(SECRET) + b'", "b": 1}'
MIXED = b'{"a": "by\\u0070ass-key\\/0123456789\\u002Babc"}'

SPLIT = [
    answered("11", "in two chunks", TEXT, b"x " + SECRET[:HALF], SECRET[HALF:] + b" y"),
    answered("11", "in chunks of one byte", TEXT, *cut(b"x " + SECRET + b" y", 1)),
    answered("11", "in two chunks of JSON", JSON, b'{"a": "' + SECRET[:HALF], SECRET[HALF:] + b'"}'),
    answered("11", "in chunks of three bytes of escapes", JSON, *cut(ESCAPES, 3)),
    answered("11", "over two lines of NDJSON", "application/x-ndjson", b'{"a": "' + SECRET + b'"}\n{"a"', b": 1}\n"),
    answered("11", "over two deltas", EVENTS, anthropic(SECRET[:HALF], SECRET[HALF:])),
    answered("11", "over deltas of one character", EVENTS, anthropic(*cut(SECRET, 1))),
    answered("11", "over deltas and chunks", EVENTS, *cut(anthropic(b"x", *cut(SECRET, 2), b"y"), 5)),
    answered("11", "over two deltas of another API", EVENTS, openai(SECRET[:HALF], SECRET[HALF:])),
    held(
        answered("11", "over thoughts", EVENTS, anthropic(*cut(SECRET, 4), kind="thinking_delta", key="thinking")),
    ),
    answered(
        "11",
        "over two parts of a tool's input",
        EVENTS,
        anthropic(b'{"a": "' + SECRET[:HALF], SECRET[HALF:] + b'"}', kind="input_json_delta", key="partial_json"),
    ),
]

WRAPPED = [
    held(whole("11", "in gzip", TEXT, gzip.compress(b"x " + SECRET, mtime=0), head=b"Content-Encoding: gzip\r\n")),
    held(whole("11", "in deflate", TEXT, zlib.compress(b"x " + SECRET), head=b"Content-Encoding: deflate\r\n")),
    whole(
        "11",
        "in gzip twice",
        TEXT,
        gzip.compress(gzip.compress(SECRET, mtime=0), mtime=0),
        head=b"Content-Encoding: gzip, gzip\r\n",
        answers=UNMASKABLE,
    ),
    whole(
        "11",
        "in two members of gzip",
        TEXT,
        gzip.compress(SECRET[:HALF], mtime=0) + gzip.compress(SECRET[HALF:], mtime=0),
        head=b"Content-Encoding: gzip\r\n",
        answers=UNMASKABLE,
    ),
    whole("11", "in brotli", TEXT, b"\x8b\x01\x80abc\x03", head=b"Content-Encoding: br\r\n", answers=UNMASKABLE),
    whole("11", "in no gzip at all", TEXT, SECRET, head=b"Content-Encoding: gzip\r\n", answers=UNMASKABLE),
    whole("11", "in an unknown coding", TEXT, SECRET, head=b"Content-Encoding: x\r\n", answers=UNMASKABLE),
    whole(
        "11",
        "in gzip that says identity",
        TEXT,
        gzip.compress(SECRET, mtime=0),
        head=b"Content-Encoding: identity\r\n",
        answers=UNMASKABLE,
    ),
    *(
        whole(
            "11",
            f"in base64 behind {shift} bytes",
            TEXT,
            b"x " + base64.b64encode(b"z" * shift + SECRET + b"zz") + b" y",
        )
        for shift in range(3)
    ),
    whole("11", "in base64 of URLs", TEXT, b"x " + base64.urlsafe_b64encode(SECRET) + b" y"),
    whole("11", "in base64 within JSON", JSON, json.dumps({"a": base64.b64encode(SECRET).decode()}).encode()),
    whole("11", "in JSON escapes", JSON, ESCAPES),
    whole("11", "in some JSON escapes", JSON, MIXED),
    whole("11", "in escapes of a key", JSON, b'{"' + escaped(SECRET) + b'": 1}'),
    whole("11", "in JSON within JSON", JSON, json.dumps({"a": ESCAPES.decode()}).encode()),
    whole("11", "in a URL", TEXT, b"https://x.example/?k=" + quote(SECRET, safe="").encode()),
    whole(
        "11", "in a text of 16 bits", f"{TEXT}; charset=utf-16", SECRET.decode().encode("utf-16"), answers=UNMASKABLE
    ),
    held(whole("11", "in JSON that says it is a picture", "image/png", b'{"a": "' + SECRET + b'"}')),
    whole("11", "in JSON without a type", "", ESCAPES),
    whole("11", "in what is nearly JSON", JSON, b"{'a': '" + SECRET + b"'", answers=("200",)),
]

HEADS = [
    field("in a header", b"X-Echo: " + SECRET),
    field("in a cookie", b"Set-Cookie: k=" + SECRET + b"; Path=/"),
    field("in a Location", b"Location: http://x.example/?k=" + quote(SECRET, safe="").encode()),
    field("in a header, in base64", b"X-Echo: " + base64.b64encode(SECRET)),
    field("in the name of a header", b"X-" + SECRET.replace(b"/", b"-") + b": 1\r\nX-Echo: " + SECRET),
    replied(
        "11",
        "in the reason phrase",
        b"HTTP/1.1 200 " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
        shown=(b"HTTP/1.1 200 OK\r\n",),
    ),
    replied(
        "11",
        "in an early hint",
        b"HTTP/1.1 103 Early Hints\r\nLink: <" + SECRET + b">\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    replied("11", "in a trailer", CHUNKED + chunked(b"x", trailers=b"X: " + SECRET + b"\r\n")),
    replace(
        replied("11", "in the extension of a chunk", CHUNKED + chunked(b"x", extension=b";a=bypass-key")),
        hidden=(SECRET, b"bypass-key"),
    ),
    replied(
        "11",
        "behind the answer",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX: " + SECRET + b"\r\n\r\n",
    ),
]

STREAMS = [
    answered("12", "CR alone", EVENTS, b"event: x\rdata: " + SECRET + b"\r\rdata: y\r\r"),
    answered("12", "CR and LF in two chunks", EVENTS, b"data: " + SECRET[:HALF], SECRET[HALF:] + b"\r", b"\n\r", b"\n"),
    answered("12", "all three line ends", EVENTS, b"data: a\r\ndata: b\rdata: " + SECRET + b"\n\r\n\n\r"),
    answered("12", "a byte order mark", EVENTS, b"\xef\xbb\xbfdata: " + SECRET + b"\n\n"),
    answered("12", "a byte order mark in pieces", EVENTS, b"\xef", b"\xbb", b"\xbfdata: " + SECRET + b"\n\n"),
    answered("12", "no last blank line", EVENTS, b"data: a\n\ndata: " + SECRET),
    answered("12", "no last line end, in pieces", EVENTS, b"data: a\n\ndata: " + SECRET[:HALF], SECRET[HALF:]),
    answered("12", "no space behind the colon", EVENTS, b"data:" + SECRET + b"\n\n"),
    answered("12", "two spaces behind the colon", EVENTS, b"data:  " + SECRET + b"\n\n"),
    answered("12", "a line without a colon", EVENTS, SECRET + b"\n\ndata: x\n\n"),
    answered("12", "a comment", EVENTS, b": " + SECRET + b"\n\ndata: x\n\n"),
    answered("12", "an id", EVENTS, b"id: " + SECRET + b"\ndata: x\n\n"),
    answered("12", "the name of an event", EVENTS, b"event: " + SECRET + b"\ndata: x\n\n"),
    answered("12", "an unknown field", EVENTS, b"x: " + SECRET + b"\ndata: x\n\n"),
    answered("12", "JSON over two lines of data", EVENTS, b'data: {"a":\ndata: "' + escaped(SECRET) + b'"}\n\n'),
    answered("12", "a huge line", EVENTS, b"data: " + b"x" * 300_000, b"y " + SECRET + b" z" * 100_000, b"\n\n"),
    answered("12", "escapes in data", EVENTS, b"data: " + ESCAPES + b"\n\n"),
    answered("12", "a type with a parameter", "Text/Event-Stream; charset=UTF-8", b"data: " + ESCAPES + b"\n\n"),
    answered("12", "deltas with CR alone", EVENTS, anthropic(SECRET[:HALF], SECRET[HALF:]).replace(b"\n", b"\r")),
    answered(
        "12",
        "deltas without a name of the event",
        EVENTS,
        anthropic(SECRET[:HALF], SECRET[HALF:]).replace(b"event: content_block_delta\n", b""),
    ),
]

CASES = [*SPLIT, *WRAPPED, *HEADS, *STREAMS]

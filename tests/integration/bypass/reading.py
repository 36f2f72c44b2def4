"""Reads bytes as others do: what an origin makes of them, and what an agent could decode out of an answer."""

import base64
import binascii
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from urllib.parse import unquote, unquote_to_bytes

import h11

__all__ = ["Arrived", "arrived", "readings", "sloppy"]

Arrived = tuple[str, str, tuple[tuple[str, bytes], ...], bytes]
"""Method, target, headers and body of a request."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_TEXTS = re.compile(rb'"(?:text|partial_json|content|thinking|arguments)":\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(?:u00([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CHUNK = re.compile(rb"\r\n[0-9a-f]+\r\n")


def arrived(stream: bytes, *, cut: bool = False) -> list[Arrived]:
    """Returns the requests in what one connection brought, as another parser than the shim's reads them.

    cut: the last one may lack its end.
    """
    found: list[Arrived] = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            assert not connection.trailing_data[0], "bytes that belong to no request"
            return found
        assert isinstance(event, h11.Request), event
        headers = tuple((name.decode(), value) for name, value in event.headers)
        method, target, body = event.method.decode(), event.target.decode(), b""
        while isinstance(piece := connection.next_event(), h11.Data):
            body += bytes(piece.data)
        found.append((method, target, headers, body))
        if piece is h11.NEED_DATA:
            assert cut, "an unfinished request"
            return found
        assert isinstance(piece, h11.EndOfMessage), piece
        connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()


def sloppy(target: str, *, lower: bool = True) -> str:
    """Returns the path that the most generous upstream could see in a target."""
    path = target.partition("?")[0]
    for _ in range(4):
        path = unquote(path, errors="replace").replace("\\", "/")
    path = path.partition("#")[0].partition("\0")[0]
    segments: list[str] = []
    for segment in path.split("/"):
        name = segment.partition(";")[0].strip()
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    joined = "/" + "/".join(segments)
    return joined.lower() if lower else joined


def _unescaped(text: bytes) -> bytes:
    """Returns text without its JSON escapes, those of ASCII characters at least."""
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else match[2], text)


def readings(answer: bytes) -> Iterator[bytes]:
    """Yields an answer in every form in which an agent could find something in it."""
    yield answer
    plain = _CHUNK.sub(b"", answer)
    yield plain
    yield b"".join(plain.split())
    pieces = []
    for text in _TEXTS.findall(plain):
        try:
            pieces.append(json.loads(b'"' + text + b'"').encode("utf-8", "surrogatepass"))
        except ValueError:
            pieces.append(text)
    yield b"".join(pieces)
    yield unquote_to_bytes(plain)
    yield _unescaped(plain)
    yield _unescaped(_unescaped(plain))
    for body in (plain.partition(b"\r\n\r\n")[2], answer.partition(b"\r\n\r\n")[2]):
        for decode in (gzip.decompress, zlib.decompress):
            try:
                yield decode(body)
            except (OSError, EOFError, zlib.error):
                pass
    for run in _BASE64.findall(plain):
        for start in range(4):
            part = run[start : start + (len(run) - start) // 4 * 4]
            try:
                yield base64.b64decode(part, altchars=b"-_" if b"-" in part or b"_" in part else None)
            except binascii.Error:
                pass

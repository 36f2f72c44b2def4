"""A small Anthropic Messages API over loopback, as a real upstream: demands its key, keeps each request's raw bytes."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

from agents.messages import Block, Refused, check, events, message, sign

__all__ = ["MODELS", "MessagesApi", "Model", "Pace"]

Model = Callable[[dict[str, Any]], list[Block]]
"""Answers a request's parsed body with content blocks, as a language model would."""

Pace = Callable[[bytes], None]
"""Is called before each event of a stream is sent: may wait, or raise ConnectionError to hang up in its place."""

MODELS = ("claude-sonnet-5", "claude-opus-5")
"""Names that GET /v1/models lists; every other name is answered as well."""
MAX_HEAD = 65536
"""Bytes of a request's head that are read."""


class MessagesApi:
    """Serves the API on 127.0.0.1 until closed; `requests` holds every request's raw bytes, oldest first."""

    def __init__(self, key: str, model: Model) -> None:
        self.key = key
        self.model = model
        self.pace: Pace = lambda _: None
        self.requests: list[bytes] = []
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.api = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self) -> list[dict[str, Any]]:
        """Returns the bodies of all requests for a message, oldest first."""
        bodies = [raw.partition(b"\r\n\r\n")[2] for raw in self.requests if raw.startswith(b"POST /v1/messages")]
        return [json.loads(body) for body in bodies]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, list[bytes]]:
        """Returns content type and the pieces of the answer's body; raises Refused."""
        route = (method, path.partition("?")[0])
        if route == ("HEAD", "/"):
            return "text/plain", [b""]
        if headers.get("x-api-key") != self.key:
            raise Refused(401, "authentication_error", "invalid x-api-key")
        if "anthropic-version" not in headers:
            raise Refused(400, "invalid_request_error", "anthropic-version: header is required")
        if route == ("GET", "/v1/models"):
            listed = [{"type": "model", "id": name, "display_name": name, "created_at": DAY} for name in MODELS]
            return _json({"data": listed, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})
        if route not in {("POST", "/v1/messages"), ("POST", "/v1/messages/count_tokens")}:
            raise Refused(404, "not_found_error", "no such thing")
        request = _parsed(body)
        if route[1].endswith("/count_tokens"):
            return _json({"input_tokens": len(body) // 4})
        check(request, self.key)
        whole = message(request, [self._signed(block) for block in self.model(request)])
        return ("text/event-stream; charset=utf-8", events(whole)) if request.get("stream") else _json(whole)

    def _signed(self, block: Block) -> Block:
        if block["type"] != "thinking":
            return block
        return {**block, "signature": sign(self.key, block["thinking"])}


DAY = "2026-01-01T00:00:00Z"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refused(400, "invalid_request_error", "the request body is not valid JSON") from None


def _json(value: object) -> tuple[str, list[bytes]]:
    return "application/json", [json.dumps(value).encode()]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    api: MessagesApi


class _Connection(socketserver.StreamRequestHandler):
    """Answers requests one after the other; the parser is small because only known clients and the shim talk to it."""

    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            for method, path, headers, body in self._requests():
                try:
                    status, (kind, pieces) = "200 OK", self.server.api.answer(method, path, headers, body)
                except Refused as refused:
                    status, kind, pieces = f"{refused.status} Refused", "application/json", [refused.body()]
                self._send(f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nrequest-id: req_test\r\n", pieces)
        except ConnectionError:
            pass  # the other side went away

    def _send(self, head: str, pieces: list[bytes]) -> None:
        if len(pieces) == 1:
            self.wfile.write(f"{head}content-length: {len(pieces[0])}\r\n\r\n".encode() + pieces[0])
            return
        self.wfile.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            self.server.api.pace(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _requests(self) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
        """Yields requests until the connection ends; a body must have a Content-Length."""
        while True:
            raw = b""
            while not raw.endswith(b"\r\n\r\n"):
                line = self.rfile.readline(MAX_HEAD)
                if not line or len(raw) + len(line) > MAX_HEAD:
                    return
                raw += line
            start, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self.server.api.requests.append(raw + body)
            method, path, _ = start.split(" ", 2)
            yield method, path, headers, body

"""A raw HTTP origin on loopback that logs every request's bytes and answers as it is told."""

import socket
import threading
from collections.abc import Callable

__all__ = ["Origin", "answer"]


def answer(body: bytes, content_type: str = "application/json", status: str = "200 OK") -> bytes:
    """Returns a whole HTTP/1.1 response with a Content-Length."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Origin:
    """Serves on 127.0.0.1; `respond(request bytes) -> response bytes`, b"" hangs up. Requests end with their body."""

    def __init__(self, respond: Callable[[bytes], bytes]) -> None:
        self.respond = respond
        self.requests: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stops accepting."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffered = b""
        with connection:
            while True:
                request, buffered = _read_request(connection, buffered)
                if not request:
                    return
                self.requests.append(request)
                response = self.respond(request)
                try:
                    connection.sendall(response)
                except OSError:
                    return
                if not response.startswith(b"HTTP/1.1 ") or b"x-hang-up" in response:
                    return


def _read_request(connection: socket.socket, buffered: bytes) -> tuple[bytes, bytes]:
    """Reads one request with Content-Length or no body; returns it and what came after; b"" at the end."""
    while b"\r\n\r\n" not in buffered:
        data = _receive(connection)
        if not data:
            return b"", b""
        buffered += data
    head, _, rest = buffered.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(rest) < length:
        data = _receive(connection)
        if not data:
            return b"", b""
        rest += data
    return head + b"\r\n\r\n" + rest[:length], rest[length:]


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""

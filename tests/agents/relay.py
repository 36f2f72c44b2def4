"""A TCP relay on loopback in front of the shim: what the client sent and got, counted outside of both."""

import re
import socket
import threading

__all__ = ["Relay"]

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
RECEIVE = 65536
"""Bytes that are taken from a socket at once."""


class Relay:
    """Relays to a port of 127.0.0.1 until closed; `requests` holds raw requests, `answered` the raw answers."""

    def __init__(self, port: int) -> None:
        self.requests: list[bytes] = []
        self.answered = b""
        self.connections = 0
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops accepting."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def forget(self) -> None:
        """Empties the log."""
        with self._lock:
            self.requests, self.answered, self.connections = [], b"", 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Sends requests up, whole, one after the other; answers come down in a thread of their own, as they arrive."""
        with client, socket.create_connection(("127.0.0.1", self._target)) as target:
            down = threading.Thread(target=self._down, args=(target, client), daemon=True)
            down.start()
            buffered = b""
            try:
                while data := client.recv(RECEIVE):
                    buffered += data
                    while (end := _end(buffered)) is not None:
                        with self._lock:
                            self.requests.append(buffered[:end])
                        target.sendall(buffered[:end])
                        buffered = buffered[end:]
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # one of both hung up; the other learns it below
            down.join()

    def _down(self, target: socket.socket, client: socket.socket) -> None:
        try:
            while data := target.recv(RECEIVE):
                with self._lock:
                    self.answered += data
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the same


def _end(data: bytes) -> int | None:
    """Returns where the first request ends, None if it is not whole; its body has a Content-Length."""
    head, separator, _ = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    found = LENGTH.search(head + b"\r\n")
    end = len(head) + 4 + (int(found.group(1)) if found else 0)
    return end if len(data) >= end else None

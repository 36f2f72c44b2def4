"""A small billing API over loopback, as a real upstream: demands an API key, logs the raw bytes of each request."""

import argparse
import json
import secrets
import socketserver
import sys
import threading
from pathlib import Path

__all__ = ["CARD", "EMAIL", "IBAN", "LEAKED_KEY", "Billing"]

EMAIL = "ada.byron" + "@" + "customers.example.org"
CARD = " ".join(["4242"] * 4)
IBAN = "DE89 3704 0044 " + "0532 0130 00"
LEAKED_KEY = "sk_" + "live_" + "Q7w2Zt9k" * 3
"""A key of another provider that somebody pasted into a customer's notes."""

CUSTOMERS = {
    "customers": [
        {"id": "cus_1", "name": "Ada Byron", "email": EMAIL, "card": CARD, "iban": IBAN, "plan": "yearly"},
        {"id": "cus_2", "name": "Grace H.", "plan": "monthly", "notes": f"migrated with {LEAKED_KEY} in March"},
    ]
}
MAX_HEAD = 65536
"""Bytes of a request's head that are read."""
PIECE = 5
"""Characters of text in each server-sent event: no secret fits into one."""


class Billing:
    """Serves the API on 127.0.0.1 until closed; `requests` holds the raw bytes of every request, oldest first."""

    def __init__(self, key: str, port: int = 0, log: Path | None = None) -> None:
        self.key = key
        self.requests: list[bytes] = []
        self._log = log
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.billing = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Serves in a thread of its own."""
        self._thread.start()

    def wait(self) -> None:
        """Blocks until closed."""
        self._thread.join()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def note(self, raw: bytes) -> None:
        """Logs one request as it arrived."""
        with self._lock:
            self.requests.append(raw)
            if self._log is not None:
                with self._log.open("ab") as log:
                    log.write(b"--- request %d ---\n" % len(self.requests) + raw + b"\n")

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, list[bytes]]:
        """Returns status, content type and the pieces of the answer's body."""
        if headers.get("x-api-key") != self.key:
            return _json(401, {"error": "an API key is needed in x-api-key"})
        route = path.partition("?")[0]
        if (method, route) == ("GET", "/v1/invoices"):
            return _json(200, {"invoices": [{"id": "inv_1", "total": 120, "currency": "EUR"}]})
        if (method, route) == ("GET", "/v1/customers"):
            return _json(200, CUSTOMERS)
        if (method, route) == ("GET", "/v1/echo"):
            return _json(200, {"headers": headers})
        if (method, route) == ("GET", "/v1/events"):
            return 200, "text/event-stream", self._events()
        if (method, route) == ("POST", "/v1/refunds"):
            refund = json.loads(body)
            return _json(201, {"refund": "ref_1", "customer": refund["customer"], "amount": refund["amount"]})
        if method == "DELETE" and route.startswith("/v1/customers/"):
            return _json(200, {"deleted": route.rsplit("/", 1)[1]})
        return _json(404, {"error": "no such thing"})

    def _events(self) -> list[bytes]:
        text = f"Support bot: I call billing with {self.key} and the other API with {LEAKED_KEY}, bye."
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        deltas = [b"event: delta\ndata: " + json.dumps({"text": piece}).encode() + b"\n\n" for piece in pieces]
        return [*deltas, b'event: done\ndata: {"end": true}\n\n']


def _json(status: int, value: object) -> tuple[int, str, list[bytes]]:
    return status, "application/json", [json.dumps(value).encode()]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    billing: Billing


class _Connection(socketserver.StreamRequestHandler):
    """Reads requests one after the other; the parser is small because only the shim talks to it."""

    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while (exchange := self._read()) is not None:
            method, path, headers, body = exchange
            status, kind, pieces = self.server.billing.answer(method, path, headers, body)
            head = f"HTTP/1.1 {status} {'OK' if status < 400 else 'Refused'}\r\ncontent-type: {kind}\r\n"
            if len(pieces) == 1:
                self.wfile.write(f"{head}content-length: {len(pieces[0])}\r\n\r\n".encode() + pieces[0])
                continue
            self.wfile.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def _read(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """Returns the next request, None at the end of the connection."""
        raw = b""
        while not raw.endswith(b"\r\n\r\n"):
            try:
                line = self.rfile.readline(MAX_HEAD)
            except ConnectionError:
                return None
            if not line or len(raw) + len(line) > MAX_HEAD:
                return None
            raw += line
        start, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        headers.pop("")
        body = self.rfile.read(int(headers.get("content-length", "0")))
        self.server.billing.note(raw + body)
        method, path, _ = start.split(" ", 2)
        return method, path, headers, body


def main() -> None:
    """Serves until killed; prints the address once it listens. The key file is made if it does not exist."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    if not options.key_file.exists():
        options.key_file.touch(mode=0o600)
        options.key_file.write_text("billing-" + secrets.token_hex(20))
    try:
        billing = Billing(options.key_file.read_text().strip(), options.port, options.log)
    except OSError as error:
        sys.exit(
            f"billing: port {options.port} cannot be used ({error.strerror}): give another --port, also in the policy"
        )
    billing.start()
    print(f"billing http://127.0.0.1:{billing.port}", flush=True)
    billing.wait()


if __name__ == "__main__":
    main()

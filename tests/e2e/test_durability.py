"""kill -9 of the service during load: every decision that a client received is in the audit log, on both databases."""

import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.origin import Origin, answer
from e2e.system import System

CLIENTS = 8
LOAD_S = 3.0
POLICY = """
secrets: [origin-key]
upstreams:
  origin:
    url: http://127.0.0.1:{port}
    addresses: private
    credential: {{secret: origin-key, header: x-api-key, format: "{{}}"}}
rules:
  - name: reads
    match: {{principals: [{{group: agents}}], upstreams: [origin], http: {{methods: [GET]}}}}
    effect: allow
  - name: no-deletes
    match: {{upstreams: [origin], http: {{methods: [DELETE]}}}}
    effect: deny
    reason: nothing is deleted here
"""


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Runs an origin that answers every request."""
    served = Origin(lambda _: answer(b'{"ok": true}'))
    yield served
    served.close()


@pytest.fixture
def system(tmp_path: Path, database_url: str, origin: Origin) -> Iterator[System]:
    """Runs service and shim over each database."""
    running = System(tmp_path, database_url)
    try:
        running.start(POLICY.format(port=origin.port), {"origin-key": "orig" + "in-key-0123456789"})
        yield running
    finally:
        running.stop()


def _load(system: System, stop: threading.Event, received: list[str], number: int) -> None:
    """Sends numbered requests until told to stop; notes the path of each that was decided (200 or a policy denial)."""
    url = urllib.parse.urlsplit(system.url)
    turn = 0
    connection: http.client.HTTPConnection | None = None
    while not stop.is_set():
        turn += 1
        path = f"/v1/item/{number}-{turn}"
        try:
            if connection is None:
                connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
            method = "DELETE" if turn % 4 == 0 else "GET"
            connection.request(method, f"/origin{path}", headers={"authorization": f"Bearer {system.tokens['agent']}"})
            response = connection.getresponse()
            body = response.read()
            if response.status == 200 or json.loads(body)["code"] == "policy_denied":
                received.append(path)
            else:
                assert response.status == 503, (response.status, body)
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            connection = None
    if connection is not None:
        connection.close()


def test_every_received_decision_survives_kill_9(system: System, origin: Origin) -> None:
    """After SIGKILL under load and a restart, each answered decision and each forwarded request is in the log."""
    stop = threading.Event()
    received: list[str] = []
    clients = [threading.Thread(target=_load, args=(system, stop, received, number)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(2):
        stop.wait(LOAD_S / 3)
        system.kill_service()
        system.start_service()
    stop.wait(LOAD_S / 3)
    stop.set()
    for client in clients:
        client.join(timeout=30)
    assert len(received) > 50, "the load never ran"
    logged = set()
    after = 0
    while True:
        page = system.command("audit", "list", "--json", "--after", str(after), "--kind", "decision", token="auditor")
        entries = [json.loads(line) for line in page.splitlines() if line.strip()]
        if not entries:
            break
        logged |= {entry["resource"] for entry in entries}
        after = int(entries[-1]["seq"])
    assert set(received) <= logged
    forwarded = {request.split(b" ")[1].decode() for request in origin.requests}
    assert forwarded <= logged

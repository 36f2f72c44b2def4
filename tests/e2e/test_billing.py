"""The billing API of the demo is honest: nothing without its key, and its log is what arrived, byte for byte."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.billing import EMAIL, LEAKED_KEY, PIECE, Billing
from e2e.stage import read_log

KEY = "billing-" + "key-for-tests"


@pytest.fixture
def billing(tmp_path: Path) -> Iterator[Billing]:
    """Serves the API in this process."""
    served = Billing(KEY, log=tmp_path / "log")
    served.start()
    yield served
    served.close()


def _ask(billing: Billing, method: str, path: str, key: str = KEY, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", billing.port, timeout=10)
    try:
        connection.request(method, path, body, {"x-api-key": key} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("key", ["", "another-key"])
def test_without_its_key_it_gives_nothing(billing: Billing, key: str) -> None:
    """No key or a wrong one is a 401 without a record."""
    status, body = _ask(billing, "GET", "/v1/customers", key)
    assert status == 401 and EMAIL.encode() not in body


def test_it_gives_personal_data_and_a_leaked_key(billing: Billing) -> None:
    """What the shim must mask is really there."""
    body = _ask(billing, "GET", "/v1/customers")[1].decode()
    assert EMAIL in body and LEAKED_KEY in body


def test_it_splits_secrets_over_events(billing: Billing) -> None:
    """Each event holds five characters of text at most; joined they hold both keys."""
    body = _ask(billing, "GET", "/v1/events")[1].decode()
    pieces = [json.loads(line[5:]).get("text", "") for line in body.splitlines() if line.startswith("data:")]
    assert max(map(len, pieces)) == PIECE
    assert KEY in "".join(pieces) and LEAKED_KEY in "".join(pieces)


def test_it_logs_what_arrived_byte_for_byte(billing: Billing, tmp_path: Path) -> None:
    """Heads and bodies of all requests, refused ones too, in the list and in the file."""
    _ask(billing, "POST", "/v1/refunds", body=b'{"customer": "cus_1", "amount": 7}')
    _ask(billing, "DELETE", "/v1/customers/cus_1", "")
    first, second = read_log(tmp_path / "log")
    assert first.startswith(b"POST /v1/refunds HTTP/1.1\r\n") and b"x-api-key: " + KEY.encode() in first
    assert first.endswith(b'\r\n\r\n{"customer": "cus_1", "amount": 7}')
    assert second.startswith(b"DELETE /v1/customers/cus_1 HTTP/1.1\r\n")
    assert [raw.rstrip(b"\n") for raw in billing.requests] == [first.rstrip(b"\n"), second.rstrip(b"\n")]

"""The relay of tests/agents changes nothing and counts what passes."""

import http.client
import socket
from collections.abc import Iterator

import pytest

from agents.relay import Relay
from e2e.origin import Origin, answer


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Runs an origin that answers with the request's last byte, and hangs up at a "!"."""
    served = Origin(lambda request: b"" if request.endswith(b"!") else answer(request[-1:]))
    yield served
    served.close()


@pytest.fixture
def relay(origin: Origin) -> Iterator[Relay]:
    """Runs a relay before the origin."""
    running = Relay(origin.port)
    yield running
    running.close()


def test_it_counts_requests_of_one_connection(origin: Origin, relay: Relay) -> None:
    """Requests arrive byte for byte, answers come back, and both are kept."""
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
    try:
        for body in (b"1", b"", b"x" * 200_000 + b"3"):
            connection.request("POST", "/", body)
            assert connection.getresponse().read() == (body[-1:] or b"\n")
    finally:
        connection.close()
    assert relay.connections == 1 and relay.requests == origin.requests and len(relay.requests) == 3
    assert relay.answered == answer(b"1") + answer(b"\n") + answer(b"3")


def test_a_request_in_pieces_is_one_request(origin: Origin, relay: Relay) -> None:
    """However a request is cut, it is one; two in one piece are two."""
    one = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
    with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as client:
        for piece in (one[:9], one[9:37], one[37:] + one, b""):
            client.sendall(piece)
        received = b""
        while len(received) < 2 * len(answer(b"b")):
            received += client.recv(4096)
    assert received == 2 * answer(b"b")
    assert relay.requests == origin.requests == [one, one]


def test_it_passes_on_that_the_other_side_hung_up(origin: Origin, relay: Relay) -> None:
    """An origin that hangs up is seen as that."""
    with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n!")
        assert client.recv(4096) == b""


def test_it_forgets(relay: Relay) -> None:
    """Counting begins anew."""
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
    connection.request("GET", "/")
    connection.getresponse().read()
    relay.forget()
    assert (relay.requests, relay.answered, relay.connections) == ([], b"", 0)
    connection.close()

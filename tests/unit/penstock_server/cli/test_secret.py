"""penstock-server secret."""

import json
import os
import subprocess
import sys

import pytest

from penstock.v1 import secret_pb2
from unit.penstock_server.cli.fake_services import TOKEN, FakeService

VALUE = "sk_" + "test_" + "0" * 12


@pytest.mark.parametrize(
    ("stdin", "stored"),
    [
        (VALUE, VALUE),
        (VALUE + "\n", VALUE),
        (VALUE + "\r\n", VALUE),
        (VALUE + "\n\n", VALUE + "\n"),
        (VALUE + "\r", VALUE + "\r"),
        (" two\nlines ", " two\nlines "),
    ],
)
def test_one_line_end_is_left_out(service: FakeService, stdin: str, stored: str) -> None:
    """What `echo` adds is not part of the value; everything else is."""
    assert service.run("secret", "put", "billing", "--host", "a.example", stdin=stdin.encode()).exit_code == 0
    assert service.requests[0].value == stored.encode()


def test_put_sends_hosts_and_shows_no_value(service: FakeService) -> None:
    """The answer names version and hosts; the value is nowhere."""
    result = service.run("secret", "put", "billing", "--host", "a.example", "--host", "b.example:8443", stdin=VALUE)
    assert result.output == "secret billing, version 2, for a.example, b.example:8443\n"
    assert list(service.requests[0].hosts) == ["a.example", "b.example:8443"]
    assert not service.requests[0].use_policy_hosts


def test_without_hosts_the_policy_gives_them(service: FakeService) -> None:
    """No --host asks for the hosts of the policy, which the service may refuse."""
    result = service.run("secret", "put", "billing", "--json", stdin=VALUE)
    assert json.loads(result.stdout)["hosts"] == ["from.policy.example"]
    assert service.requests[0].use_policy_hosts


@pytest.mark.parametrize("stdin", ["", "\n", "x" * 65537])
def test_an_impossible_value_is_wrong_usage(service: FakeService, stdin: str) -> None:
    """Nothing, and more than a secret may be, is refused here and not repeated."""
    result = service.run("secret", "put", "billing", stdin=stdin)
    assert result.exit_code == 2
    assert "xxxx" not in result.output
    assert service.requests == []


def test_the_longest_value_is_sent_whole(service: FakeService) -> None:
    """65536 bytes and a line end are not too much."""
    assert service.run("secret", "put", "billing", stdin="x" * 65536 + "\n").exit_code == 0
    assert len(service.requests[0].value) == 65536


def test_list_shows_names_and_hosts(service: FakeService) -> None:
    """As a table, and as one object a line."""
    service.secrets = [secret_pb2.Secret(name="billing", version=3, hosts=["a.example"], created_at_ms=1000)]
    assert service.run("secret", "list").stdout.splitlines()[1].split() == [
        "billing",
        "3",
        "1970-01-01",
        "00:00:01.000Z",
        "a.example",
    ]
    assert json.loads(service.run("secret", "list", "--json").stdout) == {
        "name": "billing",
        "version": 3,
        "hosts": ["a.example"],
        "created_at_ms": 1000,
    }


def test_a_person_is_asked_without_echo(service: FakeService) -> None:
    """On a terminal the command asks, and what is typed does not show."""
    master, slave = os.openpty()
    environment = {**os.environ, "PENSTOCK_ADDRESS": service.address, "PENSTOCK_TOKEN": TOKEN}
    command = [sys.executable, "-m", "penstock_server.cli", "secret", "put", "billing", "--host", "a.example"]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    os.close(slave)
    assert process.stderr is not None
    asked = b""
    while not asked.endswith(b": "):  # its last blank comes after the echo is off
        asked += os.read(process.stderr.fileno(), 1)
    os.write(master, VALUE.encode() + b"\n")
    _, errors = process.communicate(timeout=60)
    shown = os.read(master, 4096)
    os.close(master)
    assert (process.returncode, asked.strip()) == (0, b"Value:"), errors
    assert b"secret billing, version 2" in shown
    assert VALUE.encode() not in shown + errors
    assert service.requests[0].value == VALUE.encode()

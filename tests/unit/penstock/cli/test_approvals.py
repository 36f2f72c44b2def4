"""`penstock approvals` against a fake ApproverService."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.rpc import code_pb2, error_details_pb2

from penstock.cli.program import program
from penstock.v1 import approver_pb2
from unit.penstock.cli.fake_approver import TOKEN, FakeApprover, pending, running_approver


class Person:
    """Runs commands as somebody with a token."""

    def __init__(self, fake: FakeApprover, address: str) -> None:
        self.fake = fake
        self.environment = {"PENSTOCK_ADDRESS": address, "PENSTOCK_TOKEN": TOKEN, "PENSTOCK_CA": ""}

    def run(self, *arguments: str, **environment: str) -> Result:
        return CliRunner(env={**self.environment, **environment}).invoke(program, ["approvals", *arguments])


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Returns somebody who may review apr_1 and apr_2."""
    with running_approver(tmp_path) as (fake, address):
        for name in ("apr_1", "apr_2"):
            fake.approvals[name] = pending(name)
        yield Person(fake, address)


def test_list_prints_a_row_a_request(person: Person) -> None:
    """Pending requests by default; a state without any says so on standard error."""
    done = person.run("list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["apr_1", "apr_2"]
    none = person.run("list", "--state", "denied")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no denied requests\n")


def test_list_reads_all_pages_up_to_its_limit(person: Person) -> None:
    """A page token is followed; the limit is kept."""
    person.fake.page = 2
    for number in range(3, 8):
        person.fake.approvals[f"apr_{number}"] = pending(f"apr_{number}")
    lines = [json.loads(line)["name"] for line in person.run("list", "--json").stdout.splitlines()]
    assert lines == [f"apr_{number}" for number in range(1, 8)]
    assert len(person.run("list", "--limit", "3").stdout.splitlines()) == 3


def test_show_prints_what_would_be_approved(person: Person) -> None:
    """For people and, as one line, for programs."""
    assert 'amount": 5' in person.run("show", "apr_1").stdout
    assert json.loads(person.run("show", "apr_1", "--json").stdout)["path"] == "/v1/refunds"


def test_approve_shows_the_request_and_sends_the_digest_that_was_shown(person: Person) -> None:
    """The digest binds the review to what was on the screen."""
    done = person.run("approve", "apr_1", "--reason", "fine")
    assert done.exit_code == 0
    assert "path       /v1/refunds" in done.stdout
    assert done.stdout.splitlines()[-1] == "apr_1: approved by you; the request is pending, waits for 1 more"
    sent = person.fake.asked[-1]
    assert sent == approver_pb2.ApproveRequest(name="apr_1", reason="fine", action_digest=b"apr_1".ljust(32, b"."))


def test_approve_as_json_prints_one_object_and_shows_the_request_beside_it(person: Person) -> None:
    """Standard output stays readable for programs."""
    done = person.run("approve", "apr_1", "--json")
    assert json.loads(done.stdout)["name"] == "apr_1"
    assert "path       /v1/refunds" in done.stderr


def test_approve_asks_on_a_terminal_and_a_no_approves_nothing(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only yes is yes; --yes does not ask."""
    monkeypatch.setattr("penstock.cli.approvals._is_terminal", lambda: True)
    runner = CliRunner(env=person.environment)
    refused = runner.invoke(program, ["approvals", "approve", "apr_1"], input="n\n")
    assert (refused.exit_code, "nothing was approved" in refused.stderr) == (1, True)
    assert not any(isinstance(request, approver_pb2.ApproveRequest) for request in person.fake.asked)
    assert runner.invoke(program, ["approvals", "approve", "apr_1"], input="y\n").exit_code == 0
    assert runner.invoke(program, ["approvals", "approve", "apr_1", "--yes"]).exit_code == 0


def test_a_request_without_a_digest_cannot_be_approved(person: Person) -> None:
    """An empty digest would approve whatever the service holds."""
    person.fake.approvals["apr_1"].action_digest = b""
    done = person.run("approve", "apr_1")
    assert (done.exit_code, "no digest" in done.stderr) == (1, True)
    assert not any(isinstance(request, approver_pb2.ApproveRequest) for request in person.fake.asked)


def test_deny_says_what_happened(person: Person) -> None:
    """The reason goes to the agent."""
    done = person.run("deny", "apr_2", "--reason", "too much")
    assert (done.exit_code, done.stdout) == (0, "apr_2: denied by you; the request is denied\n")
    assert person.fake.asked[-1] == approver_pb2.DenyRequest(name="apr_2", reason="too much")


def test_an_unknown_request_is_one_line_with_its_reason(person: Person) -> None:
    """The service's message and its stable reason, no traceback."""
    done = person.run("show", "apr_9")
    assert done.exit_code == 1
    assert done.stderr == "penstock: there is no approval request apr_9 [APPROVAL_NOT_FOUND]\n"


def test_a_foreign_token_and_a_missing_role_end_with_4(person: Person) -> None:
    """Authentication and permission share an exit code."""
    unknown = person.run("list", PENSTOCK_TOKEN="other")
    assert (unknown.exit_code, unknown.stderr) == (4, "penstock: the token is not known\n")
    info = error_details_pb2.ErrorInfo(reason="ROLE_MISSING")
    person.fake.refusal = (code_pb2.PERMISSION_DENIED, "this needs the role approver", [info])
    denied = person.run("list")
    assert (denied.exit_code, denied.stderr) == (4, "penstock: this needs the role approver [ROLE_MISSING]\n")


@pytest.mark.parametrize("command", ["list", "watch"])
def test_a_service_that_is_not_there_ends_with_3(person: Person, command: str) -> None:
    """The address is named; the token is not. Who would watch nothing is told at once, too."""
    done = person.run(command, PENSTOCK_ADDRESS="unix:/nonexistent/penstock.sock")
    assert done.exit_code == 3
    assert done.stderr == (
        "penstock: the policy service at unix:/nonexistent/penstock.sock is not reachable (No such file or directory)\n"
    )
    assert TOKEN not in done.output


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PENSTOCK_ADDRESS": ""}, "PENSTOCK_ADDRESS"),
        ({"PENSTOCK_TOKEN": ""}, "PENSTOCK_TOKEN"),
        ({"PENSTOCK_ADDRESS": "nowhere"}, "HOST:PORT"),
        ({"PENSTOCK_TOKEN": "a b"}, "the token"),
        ({"PENSTOCK_ADDRESS": "h.example.com:1", "PENSTOCK_CA": "/nonexistent"}, "No such file"),
    ],
)
def test_wrong_usage_ends_with_2(person: Person, environment: dict[str, str], said: str) -> None:
    """What to give is named; nothing is called."""
    done = person.run("list", **environment)
    assert (done.exit_code, said in done.stderr) == (2, True)
    assert person.fake.asked == []


def test_watch_prints_each_new_request_once_until_interrupted(person: Person) -> None:
    """A request that comes while it watches appears; Ctrl-C is a success."""
    environment = {**os.environ, **person.environment}
    command = [sys.executable, "-m", "penstock.cli", "approvals", "watch", "--interval", "0.1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as watch:
        assert watch.stdout is not None and watch.stderr is not None
        first = {json.loads(watch.stdout.readline())["name"] for _ in range(2)}
        assert first == {"apr_1", "apr_2"}
        person.fake.approvals["apr_3"] = pending("apr_3")
        assert json.loads(watch.stdout.readline())["name"] == "apr_3"
        watch.send_signal(signal.SIGINT)
        assert watch.stdout.read() == ""
        assert watch.stderr.read() == ""
    assert watch.returncode == 0

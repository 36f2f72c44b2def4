"""penstock-server audit."""

import json

import pytest

from penstock.v1 import action_pb2
from penstock.v1.audit_pb2 import AuditEntry, ListEntriesRequest
from penstock_server.domain.errors import Code, PenstockError
from unit.penstock_server.cli.fake_services import FakeService


def entries(count: int) -> list[AuditEntry]:
    """Makes decisions 1 to count."""
    return [
        AuditEntry(
            log="l",
            seq=n,
            kind="decision",
            at_ms=1000 * n,
            actor=action_pb2.Principal(issuer="i", subject="bot"),
            upstream="billing",
            method="GET",
            resource="/v1/x",
            effect="deny",
            rules=["a", "b"],
            reason="because",
            details_json='{"k":[1]}',
            leaf_hash=b"\x01" * 32,
            chain_hash=b"\x02" * 32,
        )
        for n in range(1, count + 1)
    ]


def test_list_is_a_readable_table(service: FakeService) -> None:
    """One entry a line: who did what to what, and what decided."""
    service.entries = entries(1)
    head, row = service.run("audit", "list").stdout.splitlines()
    assert head.split() == ["SEQ", "TIME", "WHO", "EFFECT", "UPSTREAM", "METHOD", "RESOURCE", "RULES", "REASON"]
    assert row == "1    1970-01-01 00:00:01.000Z  bot  deny    billing   GET     /v1/x     a, b   because"


def test_an_entry_that_is_no_decision_shows_its_kind(service: FakeService) -> None:
    """Where there is no effect, what happened is shown."""
    service.entries = [AuditEntry(seq=1, kind="policy.applied", at_ms=1)]
    assert " policy.applied " in service.run("audit", "list").stdout


def test_the_newest_hundred_are_shown(service: FakeService) -> None:
    """Without --after the end of the log is asked for, once."""
    service.entries = entries(150)
    lines = service.run("audit", "list").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(51, 151))
    assert service.requests == [ListEntriesRequest(page_size=100, newest=True)]


def test_after_reads_on_page_by_page(service: FakeService) -> None:
    """A limit over a page asks again after the last number, and never for more than the limit."""
    service.entries = entries(2500)
    lines = service.run("audit", "list", "--after", "10", "--limit", "2100", "--json").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(11, 2111))
    assert [(request.after, request.page_size) for request in service.requests] == [
        (10, 1000),
        (1010, 1000),
        (2010, 100),
    ]


def test_after_the_end_there_is_nothing(service: FakeService) -> None:
    """No entry: an empty JSON list, and a table of its head."""
    service.entries = entries(2)
    assert service.run("audit", "list", "--after", "2", "--json").stdout == ""
    assert len(service.run("audit", "list", "--after", "2").stdout.splitlines()) == 1


def test_many_of_the_newest_need_a_beginning(service: FakeService) -> None:
    """The newest entries come in one page; more than that is wrong usage."""
    assert service.run("audit", "list", "--limit", "1001").exit_code == 2


def test_filters_reach_the_service(service: FakeService) -> None:
    """--kind and --call are the service's to judge."""
    service.run("audit", "list", "--kind", "decision", "--call", "ab12", "--limit", "5")
    assert service.requests == [ListEntriesRequest(page_size=5, newest=True, kind="decision", call_id="ab12")]


def test_json_holds_everything(service: FakeService) -> None:
    """Hashes are hex, details are parsed, numbers are numbers."""
    service.entries = entries(1)
    value = json.loads(service.run("audit", "list", "--json").stdout)
    assert value["details"] == {"k": [1]}
    assert (value["leaf_hash"], value["chain_hash"]) == ("01" * 32, "02" * 32)
    assert value["actor"]["subject"] == "bot"
    assert {
        "log",
        "seq",
        "id",
        "kind",
        "at_ms",
        "rules",
        "reason",
        "approval",
        "grant",
        "policy_revision",
    } < value.keys()


@pytest.mark.parametrize(("text", "details"), [("", {}), ("{broken", "{broken")])
def test_details_that_are_not_json_stay_text(service: FakeService, text: str, details: object) -> None:
    """One damaged entry does not end the list."""
    service.entries = [AuditEntry(seq=1, details_json=text)]
    assert json.loads(service.run("audit", "list", "--json").stdout)["details"] == details


def test_a_path_cannot_write_on_the_terminal(service: FakeService) -> None:
    """An agent chooses paths; a row stays a row."""
    service.entries = [AuditEntry(seq=1, resource="/a\x1b[2J\nfake row", reason="\u202e")]
    output = service.run("audit", "list").stdout
    assert len(output.splitlines()) == 2
    assert "\x1b" not in output
    assert "\u202e" not in output


def test_tail_shows_the_last_ten_and_follows(service: FakeService) -> None:
    """It begins with the newest, goes on after them, and when the service goes it says how to resume."""
    service.entries = entries(12)
    result = service.run("audit", "tail")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["SEQ", *(str(n) for n in range(3, 13))]
    assert result.exit_code == 3
    assert result.stderr.endswith("; go on with --after 12\n")
    assert service.requests[1].after == 12


def test_tail_resumes_after_a_number(service: FakeService) -> None:
    """--after gives every entry after it, once."""
    service.entries = entries(12)
    result = service.run("audit", "tail", "--after", "9", "--json")
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == [10, 11, 12]
    assert len(service.requests) == 1


def test_tail_without_the_role_is_not_permitted(service: FakeService) -> None:
    """A refusal is a refusal, not a broken stream."""
    service.error = PenstockError(Code.FORBIDDEN, "ROLE", "the role auditor is needed")
    result = service.run("audit", "tail", "--after", "0")
    assert (result.exit_code, result.stderr) == (4, "error: the role auditor is needed [ROLE]\n")

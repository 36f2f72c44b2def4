"""penstock-server policy."""

import json
from pathlib import Path

import pytest

from penstock.v1 import policy_pb2
from unit.penstock_server.cli.fake_services import FakeService

DOCUMENT = "upstreams: {}\nrules: []\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Writes a policy document."""
    path = tmp_path / "policy.yaml"
    path.write_text(DOCUMENT)
    return str(path)


def revisions(count: int) -> list[policy_pb2.Revision]:
    """Makes revisions 1 to count, of which the last is active."""
    return [
        policy_pb2.Revision(
            number=n, author="ada", created_at_ms=1000 * n, active=n == count, digest=bytes([n % 256]) * 32
        )
        for n in range(1, count + 1)
    ]


def test_apply_shows_the_diff_and_the_revision(service: FakeService, file: str) -> None:
    """Changes and the active revision go to standard output, warnings to standard error."""
    service.changes, service.warnings = ["+ rule x", "~ rule y: effect: allow -> deny"], ["rule y is never reached"]
    result = service.run("policy", "apply", file)
    assert result.stdout == "+ rule x\n~ rule y: effect: allow -> deny\nrevision 1 is active\n"
    assert result.stderr == "warning: rule y is never reached\n"
    assert service.requests == [policy_pb2.ApplyPolicyRequest(document=DOCUMENT)]


def test_a_dry_run_changes_nothing_and_says_so(service: FakeService, file: str) -> None:
    """The flag reaches the service; the output names what stays active."""
    assert service.run("policy", "apply", file, "--dry-run").stdout == (
        "+ rule x\ndry run: nothing was changed, no revision is active\n"
    )
    service.revisions = revisions(4)
    assert "revision 4 stays active" in service.run("policy", "apply", file, "--dry-run").stdout
    assert [request.dry_run for request in service.requests] == [True, True]


def test_a_document_that_changes_nothing_says_so(service: FakeService, file: str) -> None:
    """An empty diff is a line of its own."""
    service.changes = []
    assert service.run("policy", "apply", file).stdout.startswith("nothing changes\n")


def test_a_document_comes_from_standard_input(service: FakeService) -> None:
    """FILE "-" reads standard input; a byte order mark is not part of the document."""
    assert service.run("policy", "apply", "-", stdin=b"\xef\xbb\xbf" + DOCUMENT.encode()).exit_code == 0
    assert service.requests[0].document == DOCUMENT


def test_apply_speaks_json(service: FakeService, file: str) -> None:
    """A program gets one object, and still sees the warnings in it."""
    service.warnings = ["w"]
    value = json.loads(service.run("policy", "apply", file, "--json").stdout)
    assert value == {"revision": 1, "changes": ["+ rule x"], "warnings": ["w"], "dry_run": False}


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_wrong_usage(service: FakeService, tmp_path: Path, content: bytes | None) -> None:
    """Neither a file that is not there nor one that is not UTF-8 is sent."""
    path = tmp_path / "p.yaml"
    if content is not None:
        path.write_bytes(content)
    result = service.run("policy", "apply", str(path))
    assert result.exit_code == 2
    assert "p.yaml" in result.stderr
    assert service.requests == []


def test_show_prints_the_document_alone(service: FakeService) -> None:
    """Standard output is the document as it was applied, for redirection; the rest is on standard error."""
    service.revisions, service.document = revisions(2), DOCUMENT
    result = service.run("policy", "show", "--revision", "2")
    assert result.stdout == DOCUMENT
    assert result.stderr == "revision 2, active, applied by ada at 1970-01-01 00:00:02.000Z\n"
    assert service.requests == [policy_pb2.ShowPolicyRequest(revision=2)]


def test_show_without_a_policy_is_refused(service: FakeService) -> None:
    """Nothing active: exit code 1 and the service's words."""
    result = service.run("policy", "show")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: no policy is active\n")


def test_show_speaks_json(service: FakeService) -> None:
    """Number, digest and document in one object."""
    service.revisions, service.document = revisions(1), DOCUMENT
    value = json.loads(service.run("policy", "show", "--json").stdout)
    assert (value["revision"]["number"], value["revision"]["digest"], value["document"]) == (1, "01" * 32, DOCUMENT)


def test_revisions_are_listed_newest_first(service: FakeService) -> None:
    """The active one has a star."""
    service.revisions = revisions(2)
    lines = service.run("policy", "revisions").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["REVISION", "APPLIED", "BY", "DIGEST"],
        ["2", "*", "1970-01-01", "00:00:02.000Z", "ada", "020202020202"],
        ["1", "1970-01-01", "00:00:01.000Z", "ada", "010101010101"],
    ]


def test_many_revisions_are_fetched_page_by_page(service: FakeService) -> None:
    """A limit over a page asks again below the last number, and stops at the last page."""
    service.revisions = revisions(450)
    lines = service.run("policy", "revisions", "--limit", "1000", "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(450, 0, -1))
    assert [(request.page_size, request.before) for request in service.requests] == [(200, 0), (200, 251), (200, 51)]


def test_rollback_names_both_revisions(service: FakeService) -> None:
    """A rollback makes a new revision of an old document."""
    result = service.run("policy", "rollback", "3")
    assert result.stdout == "+ rule x\nrevision 9 is active, with the document of revision 3\n"
    assert json.loads(service.run("policy", "rollback", "3", "--json").stdout)["revision"] == 9
    assert service.run("policy", "rollback", "0").exit_code == 2

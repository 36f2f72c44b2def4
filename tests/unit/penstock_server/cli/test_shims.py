"""penstock-server shims."""

import json
import stat
from pathlib import Path

from penstock_server.domain.errors import Code, PenstockError
from unit.penstock_server.cli.fake_services import FakeService

SCOPE = ("--upstream", "billing", "--upstream", "llm", "--group", "agents")


def test_enrol_prints_the_token_alone(service: FakeService) -> None:
    """Standard output is the token, so that it can be captured."""
    result = service.run("shims", "enrol", "edge", *SCOPE)
    assert (result.stdout, result.stderr) == ("psh_of_edge\n", "")
    assert (list(service.requests[0].upstreams), list(service.requests[0].groups)) == (["billing", "llm"], ["agents"])


def test_enrol_writes_a_private_file(service: FakeService, tmp_path: Path) -> None:
    """With --token-file nothing secret is printed."""
    file = tmp_path / "shim.token"
    result = service.run("shims", "enrol", "edge", *SCOPE, "--token-file", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "psh_" not in result.output
    assert file.read_text() == "psh_of_edge\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_exists_is_not_replaced(service: FakeService, tmp_path: Path) -> None:
    """The token of another shim is not lost by mistake, and none is spent."""
    file = tmp_path / "shim.token"
    file.write_text("another")
    assert service.run("shims", "enrol", "edge", *SCOPE, "--token-file", str(file)).exit_code == 2
    assert (file.read_text(), service.requests) == ("another", [])


def test_a_file_that_cannot_be_written_spends_no_token(service: FakeService, tmp_path: Path) -> None:
    """The folder is tried before the shim is enrolled."""
    result = service.run("shims", "enrol", "edge", *SCOPE, "--token-file", str(tmp_path / "no" / "shim.token"))
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert service.requests == []


def test_a_refused_enrolment_leaves_no_file(service: FakeService, tmp_path: Path) -> None:
    """The file is there only with a token in it."""
    service.error = PenstockError(Code.CONFLICT, "SHIM_EXISTS", "there is a shim of that name")
    assert service.run("shims", "enrol", "edge", *SCOPE, "--token-file", str(tmp_path / "t")).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_scope_is_demanded(service: FakeService) -> None:
    """Neither upstreams nor groups have a default."""
    assert service.run("shims", "enrol", "edge", "--upstream", "*").exit_code == 2
    assert service.run("shims", "enrol", "edge", "--group", "*").exit_code == 2


def test_list_shows_who_was_revoked(service: FakeService) -> None:
    """A shim that is not revoked has a dash there."""
    service.run("shims", "enrol", "edge", *SCOPE)
    assert service.run("shims", "list").stdout.splitlines()[1].endswith("1970-01-01 00:00:00.001Z  -")
    assert service.run("shims", "revoke", "edge").stdout == "shim edge is revoked\n"
    assert json.loads(service.run("shims", "list", "--json").stdout)["revoked_at_ms"] == 2
    assert json.loads(service.run("shims", "revoke", "edge", "--json").stdout)["name"] == "edge"

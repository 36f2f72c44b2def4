"""What dev asks of a fresh service."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock._core.mask import detector_ids
from penstock_server.cli.connection import Connection
from penstock_server.cli.dev.folder import DevFolder, opened
from penstock_server.cli.dev.setup import EMPTY_POLICY, apply_policy, enrol_shim, issue_tokens
from penstock_server.cli.failure import Failure
from penstock_server.conditions import compile_condition
from penstock_server.document import parse
from penstock_server.domain.errors import Code, FieldProblem, PenstockError
from unit.penstock_server.cli.fake_services import TOKEN, FakeService


class Signer:
    """Plays the issuer: a token says what it is for."""

    def issue(self, *, subject: str, groups: list[str], owner: str, ttl_s: int, now_ms: int) -> str:
        return f"{subject} {','.join(groups)} {owner} {ttl_s // 86400}d"


@pytest.fixture
def folder(short_folder: Path) -> Iterator[DevFolder]:
    """Opens a data folder."""
    with opened(short_folder) as it:
        yield it


def admin(service: FakeService) -> Connection:
    """Connects to the fake."""
    return Connection(service.address, TOKEN)


def test_there_is_a_token_for_each_role() -> None:
    """Each has its own subject and its role's group, for thirty days."""
    assert issue_tokens(Signer()) == {
        "agent": "dev-agent agents  30d",
        "approver": "dev-approver approvers  30d",
        "admin": "dev-admin admins  30d",
        "secrets": "dev-secrets secrets  30d",
        "auditor": "dev-auditor auditors  30d",
    }


def test_the_first_start_enrols_the_shim(service: FakeService, folder: DevFolder) -> None:
    """For every upstream and group; the token lies in a private file."""
    enrol_shim(admin(service), folder)
    assert folder.shim_token.read_text() == "psh_of_dev-http\n"
    assert stat.S_IMODE(folder.shim_token.stat().st_mode) == 0o600
    assert [(list(shim.upstreams), list(shim.groups)) for shim in service.shims] == [(["*"], ["*"])]


def test_the_second_start_takes_the_same_token(service: FakeService, folder: DevFolder) -> None:
    """Nothing is enrolled again."""
    enrol_shim(admin(service), folder)
    enrol_shim(admin(service), folder)
    assert [shim.name for shim in service.shims] == ["dev-http"]
    assert folder.shim_token.read_text() == "psh_of_dev-http\n"


def test_a_lost_token_is_replaced(service: FakeService, folder: DevFolder) -> None:
    """The shim whose token is gone is revoked, and another one enrolled."""
    enrol_shim(admin(service), folder)
    folder.shim_token.unlink()
    enrol_shim(admin(service), folder)
    assert [(shim.name, bool(shim.revoked_at_ms)) for shim in service.shims] == [
        ("dev-http", True),
        ("dev-http-2", False),
    ]
    assert folder.shim_token.read_text() == "psh_of_dev-http-2\n"


def test_a_revoked_shim_is_replaced(service: FakeService, folder: DevFolder) -> None:
    """A token that is refused is not used again."""
    enrol_shim(admin(service), folder)
    service.shims[0].revoked_at_ms = 5
    enrol_shim(admin(service), folder)
    assert folder.shim_token.read_text() == "psh_of_dev-http-2\n"


def test_a_token_of_a_former_database_is_replaced(service: FakeService, folder: DevFolder) -> None:
    """The database was deleted and the token file was not."""
    folder.shim_token.write_text("psh_of_nobody\n")
    enrol_shim(admin(service), folder)
    assert folder.shim_token.read_text() == "psh_of_dev-http\n"


def test_a_new_folder_gets_the_empty_policy(service: FakeService) -> None:
    """It refuses everything, and is valid."""
    assert apply_policy(admin(service), None, print) == 1
    assert service.document == EMPTY_POLICY
    parsed = parse(EMPTY_POLICY, compile_condition=compile_condition, detectors=detector_ids()).policy
    assert (len(parsed.upstreams), len(parsed.rules)) == (0, 0)


def test_the_active_policy_stays(service: FakeService) -> None:
    """A start without a document applies nothing."""
    apply_policy(admin(service), "rules: [] # mine", print)
    assert apply_policy(admin(service), None, print) == 1
    assert service.document == "rules: [] # mine"


def test_a_document_is_applied_and_its_diff_said(service: FakeService) -> None:
    """Warnings and changes are for people."""
    service.warnings = ["odd"]
    said: list[str] = []
    assert apply_policy(admin(service), "rules: []", said.append) == 1
    assert said == ["warning: odd", "policy: + rule x"]


def test_a_document_that_is_refused_names_every_problem(service: FakeService) -> None:
    """The start fails with the places."""
    service.error = PenstockError(Code.INVALID, "POLICY_INVALID", "no", problems=(FieldProblem("a (line 1)", "b"),))
    with pytest.raises(Failure) as caught:
        apply_policy(admin(service), "rules: 7", print)
    assert caught.value.details == ("a (line 1): b",)

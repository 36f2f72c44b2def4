"""penstock-server token."""

from pathlib import Path

from penstock.v1 import token_pb2
from penstock_server.identity import DevIssuer
from unit.penstock_server.cli.fake_services import FakeService


def test_issue_asks_the_service(service: FakeService) -> None:
    """The token is printed alone; flags become the request."""
    result = service.run(
        *["token", "issue", "--subject", "bot", "--group", "agents", "--group", "ci", "--owner", "ada", "--ttl", "30m"]
    )
    assert (result.stdout, result.stderr) == ("token-of-bot\n", "")
    assert service.requests == [
        token_pb2.IssueTokenRequest(subject="bot", groups=["agents", "ci"], owner="ada", ttl_s=1800)
    ]


def test_the_default_life_is_an_hour(service: FakeService) -> None:
    """Short unless asked otherwise."""
    service.run("token", "issue", "--subject", "bot")
    assert service.requests[0].ttl_s == 3600


def test_the_first_token_needs_no_service(service: FakeService, tmp_path: Path) -> None:
    """--data signs with the key of the data folder; nobody is called, and no address or token is needed."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    DevIssuer.open(data)
    result = service.run(
        *["token", "issue", "--data", str(data), "--subject", "root", "--group", "admins"],
        PENSTOCK_ADDRESS="",
        token="",
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count(".") == 2
    assert service.requests == []


def test_a_data_folder_must_exist(service: FakeService, tmp_path: Path) -> None:
    """A misspelt folder gets no new key."""
    assert service.run("token", "issue", "--subject", "s", "--data", str(tmp_path / "no")).exit_code == 2
    assert list(tmp_path.iterdir()) == []

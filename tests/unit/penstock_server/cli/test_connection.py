"""Where commands find the service, and who they say they are."""

from pathlib import Path

import grpc
import pytest

from penstock.v1 import shim_pb2, shim_pb2_grpc
from penstock_server.cli import dev_file
from penstock_server.cli.connection import Connection
from penstock_server.cli.failure import Failure
from unit.penstock_server.cli.fake_services import TOKEN, FakeService

FLAG = "from" + "-flag"


def written(folder: Path, service: FakeService) -> Path:
    """Writes the dev.json of a set-up that the fake serves."""
    dev_file.write(folder, dev_file.DevFile(service.address, "http://127.0.0.1:1", {"admin": "dev-admin-token"}))
    return folder


def test_the_environment_gives_address_and_token(service: FakeService) -> None:
    """PENSTOCK_ADDRESS and PENSTOCK_TOKEN are enough."""
    assert service.run("shims", "list").exit_code == 0
    assert service.callers == [f"Bearer {TOKEN}"]


def test_a_token_with_a_line_end_is_taken_without_it(service: FakeService) -> None:
    """A token that was read from a file often ends in a line end."""
    assert service.run("shims", "list", token=TOKEN + "\n").exit_code == 0
    assert service.callers == [f"Bearer {TOKEN}"]


def test_dev_goes_before_the_environment_and_a_flag_before_dev(service: FakeService, tmp_path: Path) -> None:
    """--dev DIR takes the address and the token of the role; what is given by a flag stays."""
    folder = str(written(tmp_path, service))
    elsewhere = {"PENSTOCK_ADDRESS": "unix:/nowhere/s"}
    assert service.run("shims", "list", "--dev", folder, **elsewhere).exit_code == 0
    assert service.run("shims", "list", "--dev", folder, "--token", FLAG, **elsewhere).exit_code == 0
    assert service.callers == ["Bearer dev-admin-token", f"Bearer {FLAG}"]


def test_dev_without_the_role_is_wrong_usage(service: FakeService, tmp_path: Path) -> None:
    """A dev.json without a token of the role does not fall back to another one."""
    result = service.run("audit", "list", "--dev", str(written(tmp_path, service)))
    assert result.exit_code == 2
    assert "no token: set PENSTOCK_TOKEN to one with the role auditor" in result.stderr
    assert service.callers == []


@pytest.mark.parametrize(("missing", "said"), [("PENSTOCK_ADDRESS", "no address"), ("PENSTOCK_TOKEN", "no token")])
def test_what_is_missing_is_said(service: FakeService, missing: str, said: str) -> None:
    """Without an address or token the command is wrong usage and says which variable to set."""
    result = service.run("shims", "list", **{missing: ""})
    assert result.exit_code == 2
    assert said in result.stderr
    assert missing in result.stderr


@pytest.mark.parametrize("bad", ["two words", "line\nline", "caf\u00e9", "nul\0"])
def test_an_impossible_token_is_refused_without_repeating_it(service: FakeService, bad: str) -> None:
    """gRPC would repeat the token in its error; here it is not shown."""
    result = service.run("shims", "list", "--token", bad)
    assert result.exit_code == 2
    assert "the token holds white space or other characters" in result.stderr
    assert bad.split()[0] not in result.stderr
    assert service.requests == []


def test_a_connection_does_not_show_its_token() -> None:
    """The representation, which ends up in logs, holds no token."""
    assert TOKEN not in repr(Connection("unix:/s", TOKEN))


def test_an_expected_absence_is_none(service: FakeService) -> None:
    """A caller may name one status that means that there is nothing."""
    connection = Connection(service.address, TOKEN)
    request = shim_pb2.ListShimsRequest()
    refusal = grpc.StatusCode.UNIMPLEMENTED
    service.error = None
    assert connection.call(shim_pb2_grpc.ShimServiceStub, "ListShims", request, absent=refusal) is not None
    gone = Connection("unix:/nowhere/s", TOKEN)
    assert gone.call(shim_pb2_grpc.ShimServiceStub, "ListShims", request, absent=grpc.StatusCode.UNAVAILABLE) is None
    with pytest.raises(Failure):
        gone.call(shim_pb2_grpc.ShimServiceStub, "ListShims", request, absent=refusal)


def test_off_loopback_a_token_is_never_sent_in_the_clear(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a Unix socket and loopback are called without TLS, and loopback only as long as no CA is named."""
    opened: list[str] = []

    def plain(address: str, options: object) -> grpc.Channel:
        opened.append(f"plain {address}")
        return real_plain(address)

    def secure(address: str, credentials: object, options: object) -> grpc.Channel:
        opened.append(f"tls {address}")
        return real_plain(address)

    real_plain = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", plain)
    monkeypatch.setattr(grpc, "secure_channel", secure)
    ca = Path(__file__)
    for address, named in [
        ("unix:/s", None),
        ("unix:/s", ca),
        ("127.0.0.1:1", None),
        ("localhost:1", None),
        ("[::1]:1", None),
        ("127.0.0.1:1", ca),
        ("10.0.0.1:1", None),
        ("localhost.example.com:1", None),
        ("127.0.0.1.example.com:1", None),
    ]:
        with Connection(address, TOKEN, named).channel():
            pass
    assert opened == [
        "plain unix:/s",
        "plain unix:/s",
        "plain 127.0.0.1:1",
        "plain localhost:1",
        "plain [::1]:1",
        "tls 127.0.0.1:1",
        "tls 10.0.0.1:1",
        "tls localhost.example.com:1",
        "tls 127.0.0.1.example.com:1",
    ]


def test_a_ca_that_is_not_there_is_wrong_usage(service: FakeService) -> None:
    """A misspelt --ca is found before anything is sent."""
    assert service.run("shims", "list", "--ca", "/nowhere/ca.pem").exit_code == 2
    assert service.requests == []

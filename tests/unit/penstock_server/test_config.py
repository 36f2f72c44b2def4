"""Tests of the configuration: what is unknown, half or unsafe refuses to start and says why."""

from pathlib import Path

import pytest

from penstock_server.config import Config, Limits, load
from penstock_server.domain.errors import PenstockError
from penstock_server.domain.principal import Role

GOOD = 'listen = ["unix:/tmp/s.sock"]\ndatabase = "sqlite+aiosqlite:///x.db"\ndata = "/tmp/data"\n'


def _load(folder: Path, text: str) -> Config:
    path = folder / "service.toml"
    path.write_text(text)
    return load(path)


def _problems(folder: Path, text: str) -> dict[str, str]:
    with pytest.raises(PenstockError) as refused:
        _load(folder, text)
    assert refused.value.reason == "CONFIG_INVALID"
    return {problem.where: problem.what for problem in refused.value.problems}


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    """Everything else has a default."""
    config = _load(tmp_path, GOOD)
    assert config.listen == ("unix:/tmp/s.sock",)
    assert config.limits == Limits()
    assert config.roles[Role.APPROVER] == {"approvers"}
    assert config.unsafe_secret_hosts_from_policy is False
    assert config.unsafe_token_service is False
    assert (config.people_issuer, config.node) == ("urn:penstock:dev", "main")


def test_every_setting_is_read(tmp_path: Path) -> None:
    """Roles and limits replace their defaults one by one."""
    text = 'people_issuer = "https://id"\nunsafe_secret_hosts_from_policy = true\nunsafe_token_service = true\n'
    text += 'node = "eu-2"\n'
    config = _load(
        tmp_path,
        text
        + GOOD.replace("unix:/tmp/s.sock", "0.0.0.0:7643")
        + '[tls]\ncert = "c.pem"\nkey = "k.pem"\n[roles]\nadmin = ["ops"]\n[limits]\nmax_pending = 3\n',
    )
    assert config.tls_cert == tmp_path / "c.pem"
    assert config.unsafe_secret_hosts_from_policy and config.unsafe_token_service
    assert config.roles[Role.ADMIN] == {"ops"}
    assert config.roles[Role.AUDITOR] == {"auditors"}
    assert config.limits == Limits(max_pending=3)
    assert (config.people_issuer, config.node) == ("https://id", "eu-2")


def test_an_unknown_setting_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """Also within tables."""
    problems = _problems(tmp_path, "lisen = 1\n" + GOOD + "[limits]\nmax_pendig = 3\n")
    assert "did you mean listen" in problems["lisen"]
    assert "did you mean max_pending" in problems["limits.max_pendig"]


def test_tls_is_demanded_off_loopback(tmp_path: Path) -> None:
    """Loopback and Unix sockets do without."""
    assert "TLS is demanded" in _problems(tmp_path, GOOD.replace("unix:/tmp/s.sock", "0.0.0.0:7643"))["tls"]
    assert _load(tmp_path, GOOD.replace("unix:/tmp/s.sock", "127.0.0.1:7643")).listen == ("127.0.0.1:7643",)
    assert _load(tmp_path, GOOD.replace("unix:/tmp/s.sock", "[::1]:7643")).tls_cert is None


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    """A certificate without its key is no TLS."""
    assert "both" in _problems(tmp_path, GOOD + '[tls]\ncert = "c.pem"\n')["tls"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('["unix:/tmp/s.sock"]', "[]", "listen"),
        ('["unix:/tmp/s.sock"]', '["unix:relative"]', "listen"),
        ('["unix:/tmp/s.sock"]', '["localhost"]', "listen"),
        ('"sqlite+aiosqlite:///x.db"', '"mysql://x"', "database"),
        ('"/tmp/data"', "7", "data"),
        ('"/tmp/data"', '"/tmp/data"\nnode = ""', "node"),
        ('"/tmp/data"', '"/tmp/data"\nnode = "Main"', "node"),
        ('"/tmp/data"', '"/tmp/data"\nnode = "a\\n"', "node"),
        ('data = "/tmp/data"', "", "data"),
        ('"/tmp/data"', '"/tmp/data"\nunsafe_secret_hosts_from_policy = 1', "unsafe_secret_hosts_from_policy"),
        ('"/tmp/data"', '"/tmp/data"\n[limits]\nmax_body_bytes = 0', "limits.max_body_bytes"),
        ('"/tmp/data"', '"/tmp/data"\n[roles]\nadmin = [1]', "roles.admin"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, old: str, new: str, where: str) -> None:
    """Each problem names its setting."""
    assert where in _problems(tmp_path, GOOD.replace(old, new))


def test_a_file_that_is_no_toml_or_absent_is_refused(tmp_path: Path) -> None:
    """The line is named."""
    assert "line" in " ".join(_problems(tmp_path, "listen = 1 2\n").values())
    with pytest.raises(PenstockError, match="not a valid configuration"):
        load(tmp_path / "absent.toml")


def test_the_database_url_is_not_shown() -> None:
    """It may hold a password."""
    config = Config(("unix:/s",), "postgresql+asyncpg://u:pass" + "word@h/d", Path("/d"), "i")
    assert "pass" + "word" not in repr(config)

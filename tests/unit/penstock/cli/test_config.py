"""The shim's configuration file: what is accepted, and what is refused with which words."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.cli.config import ConfigError, HttpConfig, load

TOKEN = "psh" + "_" + "abc"


@dataclass(frozen=True)
class Limits:
    head_bytes: int = 1
    idle_s: float = 1.0


def write(folder: Path, text: str, token: str = TOKEN, mode: int = 0o600) -> Path:
    """Writes a configuration and its token file; returns the configuration's path."""
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(mode)
    path = folder / "shim.toml"
    path.write_text(text)
    return path


GOOD = 'service = "unix:/run/s"\ntoken_file = "token"\nlisten = "127.0.0.1:8080"\n'


def refusal(path: Path) -> list[str]:
    """Returns the problems of a configuration that must be refused."""
    with pytest.raises(ConfigError) as refused:
        load(path, Limits)
    lines = str(refused.value).split("\n")
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_a_small_configuration_is_enough(tmp_path: Path) -> None:
    """Service, token file and listener; the token is read, stripped and never shown."""
    config = load(write(tmp_path, GOOD, TOKEN + "\n"), Limits)
    assert config == HttpConfig("unix:/run/s", TOKEN, ("127.0.0.1:8080",))
    assert TOKEN not in repr(config)
    assert config.exposed() == []


def test_a_socket_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    """As every other path in it."""
    config = load(write(tmp_path, GOOD.replace("unix:/run/s", "unix:run/s")), Limits)
    assert config.service == f"unix:{tmp_path / 'run/s'}"


def test_a_full_configuration_is_read_relative_to_its_folder(tmp_path: Path) -> None:
    """CA files and limits arrive; IPv6 needs brackets."""
    (tmp_path / "ca.pem").touch()
    text = (
        'service = "policy.example.com:443"\ntoken_file = "token"\nlisten = "[::]:0"\nupstream_ca = "ca.pem"\n'
        "unsafe_plain_listen = true\n"
        '[tls]\nca = "ca.pem"\n[limits]\nhead_bytes = 5\nidle_s = 2\n'
    )
    config = load(write(tmp_path, text), Limits)
    assert config.listen == ("[::]:0",)
    assert config.ca == config.upstream_ca == tmp_path / "ca.pem"
    assert config.limits == {"head_bytes": 5, "idle_s": 2}
    assert config.exposed() == ["[::]:0"]


def test_a_shim_may_listen_in_several_places(tmp_path: Path) -> None:
    """Unix sockets are looked for beside the file, and are no network."""
    listen = '["127.0.0.1:80", "unix:run/http.sock", "unix:/run/x"]'
    config = load(write(tmp_path, GOOD.replace('"127.0.0.1:8080"', listen)), Limits)
    assert config.listen == ("127.0.0.1:80", f"unix:{tmp_path / 'run/http.sock'}", "unix:/run/x")
    assert config.exposed() == []


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """One run of the program shows all that is to be repaired."""
    problems = refusal(write(tmp_path, 'servce = "unix:/run/s"\nlisten = "8080"\n[tls]\ncert = "x"\n'))
    assert problems == [
        "servce is not a key; did you mean service?",
        "service is missing",
        "token_file is missing",
        "listen: '8080': write HOST:PORT, with port 0 for any free one, or unix:/PATH",
        "tls.cert is not a key; known are ca",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            GOOD.replace("127.0.0.1", "0.0.0.0"),
            "listen: 0.0.0.0:8080 is reachable from elsewhere, and the listener speaks plain HTTP: listen on loopback, "
            "or say unsafe_plain_listen = true if only agents can reach it",
        ),
        (GOOD + "unsafe_plain_listen = 1\n", "unsafe_plain_listen must be true or false"),
        (GOOD.replace("unix:/run/s", "unix:"), "service: 'unix:': a Unix socket is written unix:/path/to/socket"),
        (GOOD.replace("unix:/run/s", "somewhere"), "service: 'somewhere': write unix:/path or HOST:PORT"),
        (GOOD.replace('"unix:/run/s"', "7"), "service must be text in quotation marks, and not empty"),
        (
            GOOD.replace("127.0.0.1", "::1"),
            "listen: '::1:8080': write HOST:PORT, with port 0 for any free one, or unix:/PATH",
        ),
        (
            GOOD.replace("8080", "65536"),
            "listen: '127.0.0.1:65536': write HOST:PORT, with port 0 for any free one, or unix:/PATH",
        ),
        (GOOD.replace('"127.0.0.1:8080"', "[]"), "listen: name at least one address, and each once"),
        (
            GOOD.replace('"127.0.0.1:8080"', '["[::1]:1", "[::1]:1"]'),
            "listen: name at least one address, and each once",
        ),
        (GOOD.replace('"127.0.0.1:8080"', "[7]"), "listen must be text in quotation marks, and not empty"),
        (
            GOOD.replace("127.0.0.1:8080", "unix:"),
            "listen: 'unix:': write HOST:PORT, with port 0 for any free one, or unix:/PATH",
        ),
        (GOOD + 'tls = "x"\n', "tls must be a table: write [tls]"),
        (GOOD + "[limits]\nhead_byte = 1\n", "limits.head_byte is not a key; did you mean head_bytes?"),
        (GOOD + "[limits]\nhead_bytes = 1.5\n", "limits.head_bytes must be a whole number above 0"),
        (GOOD + "[limits]\nhead_bytes = true\n", "limits.head_bytes must be a whole number above 0"),
        (GOOD + "[limits]\nidle_s = -1\n", "limits.idle_s must be a number above 0"),
        (GOOD + "[limits]\nidle_s = nan\n", "limits.idle_s must be a number above 0"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    """The key is named, and what it takes."""
    assert refusal(write(tmp_path, text)) == [said]


def test_a_unix_socket_takes_no_ca(tmp_path: Path) -> None:
    """Half a TLS set-up is a mistake that must be seen."""
    (tmp_path / "ca.pem").touch()
    assert refusal(write(tmp_path, GOOD + '[tls]\nca = "ca.pem"\n')) == [
        "tls.ca: a Unix socket has no TLS; leave it out"
    ]


def test_missing_files_are_named(tmp_path: Path) -> None:
    """CA and token files must exist."""
    path = write(tmp_path, GOOD.replace('"token"', '"gone"') + 'upstream_ca = "ca.pem"\n')
    assert refusal(path) == [
        f"token_file: {tmp_path / 'gone'}: No such file or directory",
        f"upstream_ca: {tmp_path / 'ca.pem'} is not a file",
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700 | 0o001])
def test_a_token_that_others_can_use_is_refused_with_why(tmp_path: Path, mode: int) -> None:
    """The mode, the danger and the repair are named; the token is not."""
    (said,) = refusal(write(tmp_path, GOOD, mode=mode))
    assert f"has mode {mode:04o}, so others can use the token; run: chmod 600" in said
    assert TOKEN not in said


@pytest.mark.parametrize("token", ["", "two words", "tok\x00en", "tökén", "x" * 5000])
def test_a_file_without_a_token_is_refused_unseen(tmp_path: Path, token: str) -> None:
    """What is in the file is never repeated."""
    (said,) = refusal(write(tmp_path, GOOD, token))
    assert "token" in said and (not token or token not in said)


def test_a_token_file_must_be_a_file(tmp_path: Path) -> None:
    """A folder or a device is none."""
    (said,) = refusal(write(tmp_path, GOOD.replace('"token"', '"/dev/null"')))
    assert said == "token_file: /dev/null is not a regular file"
    (said,) = refusal(write(tmp_path, GOOD.replace('"token"', '"."')))
    assert "token_file" in said


def test_an_unreadable_or_broken_file_is_one_line(tmp_path: Path) -> None:
    """No traceback for a missing file, a TOML error or bytes that are no text."""
    assert refusal(tmp_path / "gone.toml") == ["No such file or directory"]
    assert refusal(write(tmp_path, "a = "))[0].startswith("is not valid TOML: ")
    path = write(tmp_path, "")
    path.write_bytes(b"\xff")
    assert refusal(path)[0].startswith("is not valid TOML: ")

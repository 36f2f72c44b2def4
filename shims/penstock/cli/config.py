"""Reads the configuration of a shim: TOML, checked as a whole before anything starts.

    service = "unix:/run/penstock/service.sock"   # or "HOST:PORT", then always TLS off loopback
    token_file = "shim.token"                     # enrolment token; readable by nobody else
    listen = "127.0.0.1:8080"                     # or "unix:/PATH", or a list of both
    unsafe_plain_listen = false                   # true: listen off loopback, where tokens cross in the clear
    upstream_ca = "upstreams.pem"                 # optional: further authorities of upstreams
    [tls]
    ca = "service.pem"                            # optional: authority of the service's certificate
    [limits]                                      # optional: fields of penstock.http.Limits

Paths are relative to the folder of the file.
"""

import dataclasses
import difflib
import os
import stat
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ConfigError", "HttpConfig", "load"]

MAX_TOKEN_BYTES = 4096
"""Largest token file; an enrolment token has about 50 characters."""

_KEYS = ("service", "token_file", "listen", "unsafe_plain_listen", "upstream_ca", "tls", "limits")
_REQUIRED = ("service", "token_file", "listen")


class ConfigError(ValueError):
    """Says everything that is wrong with a configuration, one problem a line."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Holds a valid configuration of `penstock http`. listen: HOST:PORT or unix:/PATH each.

    limits: fields of penstock.http.Limits that differ.
    """

    service: str
    token: str = field(repr=False)
    listen: tuple[str, ...]
    ca: Path | None = None
    upstream_ca: Path | None = None
    limits: dict[str, int | float] = field(default_factory=dict)

    def exposed(self) -> list[str]:
        """Returns the listeners that other machines or containers may reach, which are plain HTTP."""
        return [address for address in self.listen if _is_exposed(address)]


def load(path: Path, limits_type: type[Any]) -> HttpConfig:
    """Reads and checks the file; limits_type: the dataclass whose fields [limits] may set. Raises ConfigError."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(path, [error.strerror or "cannot be read"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, [f"is not valid TOML: {error}"]) from None
    reader = _Reader(path, table, limits_type)
    config = reader.read()
    if reader.problems or config is None:
        raise ConfigError(path, reader.problems)
    return config


class _Reader:
    """Checks one table and collects its problems."""

    def __init__(self, path: Path, table: dict[str, Any], limits_type: type[Any]) -> None:
        self.problems: list[str] = []
        self._folder = path.parent
        self._table = table
        self._limits_type = limits_type

    def read(self) -> HttpConfig | None:
        self._unknown("", self._table, _KEYS)
        for key in _REQUIRED:
            if key not in self._table:
                self.problems.append(f"{key} is missing")
        service = self._service()
        listen = self._listen()
        self._plain(listen)
        token = self._token()
        tls = self._section("tls")
        self._unknown("tls.", tls, ("ca",))
        ca = self._file("tls.ca", tls.get("ca"))
        upstream_ca = self._file("upstream_ca", self._table.get("upstream_ca"))
        if ca is not None and service.startswith("unix:"):
            self.problems.append("tls.ca: a Unix socket has no TLS; leave it out")
        limits = self._limits()
        if self.problems:
            return None
        return HttpConfig(service, token, listen, ca, upstream_ca, limits)

    def _unknown(self, place: str, table: dict[str, Any], known: Iterable[str]) -> None:
        known = tuple(known)
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.problems.append(f"{place}{key} is not a key; {hint}")

    def _section(self, key: str) -> dict[str, Any]:
        value = self._table.get(key, {})
        if isinstance(value, dict):
            return value
        self.problems.append(f"{key} must be a table: write [{key}]")
        return {}

    def _text(self, key: str, value: object) -> str:
        """Returns the text; "" for a missing or wrong one, which is noted."""
        if value is None:
            return ""
        if isinstance(value, str) and value:
            return value
        self.problems.append(f"{key} must be text in quotation marks, and not empty")
        return ""

    def _service(self) -> str:
        from penstock._client.channel import parse_address

        service = self._text("service", self._table.get("service"))
        if service.startswith("unix:") and len(service) > len("unix:"):
            service = f"unix:{(self._folder / service.removeprefix('unix:')).absolute()}"
        try:
            if service:
                parse_address(service)
        except ValueError as error:
            self.problems.append(f"service: {error}")
        return service

    def _listen(self) -> tuple[str, ...]:
        from penstock.http.listener import split_port

        found = self._table.get("listen")
        texts = [self._text("listen", one) for one in (found if isinstance(found, list) else [found])]
        if found == [] or len(set(texts)) < len(texts):
            self.problems.append("listen: name at least one address, and each once")
        addresses = []
        for text in filter(None, texts):
            if text.startswith("unix:") and len(text) > len("unix:"):
                addresses.append(f"unix:{(self._folder / text.removeprefix('unix:')).absolute()}")
                continue
            try:
                split_port(text)
            except ValueError as error:
                self.problems.append(f"listen: {error}")
            else:
                addresses.append(text)
        return tuple(addresses)

    def _plain(self, addresses: tuple[str, ...]) -> None:
        """Notes listeners that others can reach in plain HTTP, unless that is said to be meant."""
        unsafe = self._table.get("unsafe_plain_listen", False)
        if not isinstance(unsafe, bool):
            self.problems.append("unsafe_plain_listen must be true or false")
        elif not unsafe:
            self.problems += [
                f"listen: {address} is reachable from elsewhere, and the listener speaks plain HTTP: listen on "
                "loopback, or say unsafe_plain_listen = true if only agents can reach it"
                for address in addresses
                if _is_exposed(address)
            ]

    def _file(self, key: str, value: object) -> Path | None:
        name = self._text(key, value)
        if not name:
            return None
        path = self._folder / name
        if not path.is_file():
            self.problems.append(f"{key}: {path} is not a file")
        return path

    def _token(self) -> str:
        name = self._text("token_file", self._table.get("token_file"))
        if not name:
            return ""
        try:
            return _read_token(self._folder / name)
        except ValueError as error:
            self.problems.append(f"token_file: {error}")
            return ""

    def _limits(self) -> dict[str, int | float]:
        section = self._section("limits")
        known = {one.name: one.default for one in dataclasses.fields(self._limits_type)}
        self._unknown("limits.", section, known)
        limits: dict[str, int | float] = {}
        for key, value in section.items():
            if key not in known:
                continue
            number = isinstance(value, int) or (isinstance(value, float) and isinstance(known[key], float))
            if isinstance(value, bool) or not number or not 0 < value < float("inf"):
                kind = "number" if isinstance(known[key], float) else "whole number"
                self.problems.append(f"limits.{key} must be a {kind} above 0")
            else:
                limits[key] = value
        return limits


def _is_exposed(address: str) -> bool:
    from penstock._client.channel import is_loopback
    from penstock.http.listener import split_port

    return not address.startswith("unix:") and not is_loopback(split_port(address)[0])


def _read_token(path: Path) -> str:
    """Returns the token of a file that only its owner can read; raises ValueError, which never shows the token."""
    from penstock._client.channel import bearer

    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{path} is not a regular file")
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = stat.S_IMODE(status.st_mode)
                raise ValueError(f"{path} has mode {mode:04o}, so others can use the token; run: chmod 600 {path}")
            if status.st_uid not in (0, os.geteuid()):
                raise ValueError(f"{path} belongs to user {status.st_uid}, who could exchange it; make it your own")
            raw = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    token = raw.decode("ascii", "replace").strip()
    if len(raw) > MAX_TOKEN_BYTES:
        raise ValueError(f"{path} is too large for a token")
    try:
        bearer(token)
    except ValueError:
        raise ValueError(f"{path} holds no token: one line of printable ASCII without spaces") from None
    return token

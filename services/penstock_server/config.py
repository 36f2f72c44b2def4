"""The service's configuration: one TOML file, frozen, validated whole at start; what is unknown or half is refused."""

import difflib
import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock_server.domain.errors import Code, FieldProblem, PenstockError
from penstock_server.domain.principal import Role

__all__ = ["Config", "Limits", "load"]

DEFAULT_ROLES = {
    Role.AGENT: frozenset({"agents"}),
    Role.APPROVER: frozenset({"approvers"}),
    Role.ADMIN: frozenset({"admins"}),
    Role.SECRETS: frozenset({"secrets"}),
    Role.AUDITOR: frozenset({"auditors"}),
}
DRIVERS = ("sqlite+aiosqlite://", "postgresql+asyncpg://")

NODE = re.compile(r"[a-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds bounds. max_body_bytes: largest body that is judged. denial_stands_s: life of a denial, seconds."""

    max_body_bytes: int = 8 << 20
    max_pending: int = 20
    denial_stands_s: int = 600


@dataclass(frozen=True, slots=True)
class Config:
    """Holds all settings. listen: "unix:/path" or "HOST:PORT". database: SQLAlchemy URL. data: folder of the keys.

    Paths are relative to the file's folder.

    node: names this process's audit log; no two processes over one database may have the same.
    """

    listen: tuple[str, ...]
    database: str = field(repr=False)
    data: Path
    people_issuer: str
    node: str = "main"
    unsafe_secret_hosts_from_policy: bool = False
    unsafe_token_service: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    roles: dict[Role, frozenset[str]] = field(default_factory=lambda: dict(DEFAULT_ROLES))
    limits: Limits = Limits()


def load(path: Path) -> Config:
    """Returns the configuration in the file. Raises INVALID (CONFIG_INVALID) with every problem."""
    try:
        text = path.read_text()
    except OSError as error:
        raise _refusal(path, [FieldProblem(str(path), f"cannot be read: {error.strerror}")]) from None
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(path, [FieldProblem(str(path), str(error))]) from None
    reader = _Reader(found, path.parent)
    config = reader.config()
    if reader.problems or config is None:
        raise _refusal(path, reader.problems)
    return config


class _Reader:
    """Reads one table, and gathers every problem instead of stopping at the first."""

    def __init__(self, found: dict[str, Any], folder: Path) -> None:
        self.found = found
        self._folder = folder
        self.problems: list[FieldProblem] = []

    def config(self) -> Config | None:
        """Returns the configuration; None, or one that must not be used, where there are problems."""
        self._known(
            "",
            self.found,
            [
                "listen",
                "database",
                "data",
                "people_issuer",
                "node",
                "unsafe_secret_hosts_from_policy",
                "unsafe_token_service",
                "tls",
                "roles",
                "limits",
            ],
        )
        listen = self._listen()
        database = self._take(self.found, "database", str, "")
        if not database.startswith(DRIVERS):
            self._problem("database", f"write a URL that starts with {DRIVERS[0]} or {DRIVERS[1]}")
        data = self._take(self.found, "data", str, "")
        if not data:
            self._problem("data", "name the folder that holds the service's keys")
        tls = self._table("tls", ["cert", "key"])
        cert, key = self._take(tls, "cert", str, "", "tls."), self._take(tls, "key", str, "", "tls.")
        if bool(cert) != bool(key):
            self._problem("tls", "give both cert and key, or neither")
        for address in listen:
            if not cert and not _is_local(address):
                self._problem("tls", f"{address} is not loopback: TLS is demanded there, give [tls] cert and key")
        node = self._take(self.found, "node", str, "main")
        if not NODE.fullmatch(node):
            self._problem("node", "write a name of 1 to 63 characters a-z, 0-9 and -, of this process alone")
        return Config(
            listen=listen,
            database=database,
            data=self._folder / data,
            people_issuer=self._take(self.found, "people_issuer", str, "urn:penstock:dev"),
            node=node,
            unsafe_secret_hosts_from_policy=self._take(self.found, "unsafe_secret_hosts_from_policy", bool, False),
            unsafe_token_service=self._take(self.found, "unsafe_token_service", bool, False),
            tls_cert=self._folder / cert if cert else None,
            tls_key=self._folder / key if key else None,
            roles=self._roles(),
            limits=self._limits(),
        )

    def _listen(self) -> tuple[str, ...]:
        listen = self._take(self.found, "listen", list, [])
        if not listen or not all(isinstance(address, str) for address in listen):
            self._problem("listen", 'write a list, e.g. ["127.0.0.1:7643"] or ["unix:/run/penstock/service.sock"]')
            return ()
        for address in listen:
            host, _, port = address.rpartition(":")
            if not address.startswith("unix:/") and not (host and port.isdecimal() and int(port) < 65536):
                self._problem("listen", f"{address!r} is neither unix:/PATH nor HOST:PORT")
        return tuple(listen)

    def _roles(self) -> dict[Role, frozenset[str]]:
        table = self._table("roles", [role.value for role in DEFAULT_ROLES])
        roles = dict(DEFAULT_ROLES)
        for role in DEFAULT_ROLES:
            groups = self._take(table, role.value, list, sorted(roles[role]), "roles.")
            if not all(isinstance(group, str) and group for group in groups):
                self._problem(f"roles.{role.value}", "write a list of group names")
                continue
            roles[role] = frozenset(groups)
        return roles

    def _limits(self) -> Limits:
        names = ["max_body_bytes", "max_pending", "denial_stands_s"]
        table = self._table("limits", names)
        values = {name: self._take(table, name, int, getattr(Limits(), name), "limits.") for name in names}
        for name, value in values.items():
            if value < 1:
                self._problem(f"limits.{name}", "must be at least 1")
        return Limits(**values)

    def _table(self, name: str, known: list[str]) -> dict[str, Any]:
        table: dict[str, Any] = self._take(self.found, name, dict, {})
        self._known(f"{name}.", table, known)
        return table

    def _take(self, table: dict[str, Any], name: str, kind: type, default: Any, prefix: str = "") -> Any:
        value = table.get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._problem(prefix + name, f"must be {kind.__name__}, is {type(value).__name__}")
            return default
        return value

    def _known(self, prefix: str, table: dict[str, Any], known: list[str]) -> None:
        for name in table:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
                self._problem(prefix + name, f"is not a setting{hint}")

    def _problem(self, where: str, what: str) -> None:
        self.problems.append(FieldProblem(where, what))


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refusal(path: Path, problems: list[FieldProblem]) -> PenstockError:
    return PenstockError(
        Code.INVALID,
        "CONFIG_INVALID",
        f"{path} is not a valid configuration: mend it and start again",
        problems=tuple(problems),
    )

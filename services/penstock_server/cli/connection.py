"""Calls of the service: where it is, who calls, and what its errors mean to the person at the command line."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc
from click.core import ParameterSource

from penstock_server.cli import dev_file
from penstock_server.cli.failure import ExitCode, Failure
from penstock_server.cli.loopback import is_loopback
from penstock_server.cli.refusal import failure_of

__all__ = ["Connection", "connected"]

CALL_S = 30.0
"""Deadline of a call that is not a stream, seconds."""

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest answer, bytes: a page of 1000 audit entries passes gRPC's default of 4 MiB."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Connection:
    """Holds address ("unix:/path" or "HOST:PORT"), the caller's token and an optional CA file (PEM)."""

    address: str
    token: str = field(repr=False)
    ca: Path | None = None

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """Opens a channel; TLS unless the address is a Unix socket, or on loopback with no CA named."""
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
        plain = self.address.startswith("unix:") or (self.ca is None and is_loopback(self.address))
        if plain:
            channel = grpc.insecure_channel(self.address, options)
        else:
            roots = self.ca.read_bytes() if self.ca is not None else None
            channel = grpc.secure_channel(self.address, grpc.ssl_channel_credentials(roots), options)
        with channel:
            yield channel

    def call(self, stub: type[Any], method: str, request: Any, absent: grpc.StatusCode | None = None) -> Any:
        """Calls one method and returns its answer, or None if the service answers `absent`. Raises Failure."""
        with self.channel() as channel:
            try:
                return getattr(stub(channel), method)(request, metadata=self._metadata(), timeout=CALL_S)
            except grpc.RpcError as error:
                if absent is not None and error.code() is absent:
                    return None
                raise failure_of(error, self.address) from None

    def stream(self, stub: type[Any], method: str, request: Any) -> Iterator[Any]:
        """Yields the answers of a streaming method for as long as the service sends them. Raises Failure."""
        with self.channel() as channel:
            try:
                yield from getattr(stub(channel), method)(request, metadata=self._metadata())
            except grpc.RpcError as error:
                raise failure_of(error, self.address) from None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        # gRPC repeats an illegal value in its exception, so what could be illegal never gets there.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise Failure("the token holds white space or other characters that no token has", ExitCode.USAGE)
        return (("authorization", f"Bearer {self.token}"),)


def connected(role: str, unless: str = "") -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Gives a command the options of a connection and, as its first argument, the Connection.

    role: the role that the call needs; --dev DIR takes its token from DIR/dev.json. A flag goes before --dev, which
    goes before the environment. unless: a parameter that makes the call needless; if it is set, None is passed.
    """

    def decorate(command: Callable[..., Answer]) -> Callable[..., Answer]:
        @click.option("--address", envvar="PENSTOCK_ADDRESS", help="unix:/PATH or HOST:PORT of the service.")
        @click.option("--token", envvar="PENSTOCK_TOKEN", help=f"Token with the role {role}; best in PENSTOCK_TOKEN.")
        @click.option(
            "--ca",
            envvar="PENSTOCK_CA",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="CA certificates of the service, PEM. Needed off loopback unless the system trusts it.",
        )
        @click.option(
            "--dev",
            "dev_folder",
            type=click.Path(file_okay=False, path_type=Path),
            help="Data folder of penstock-server dev: take address and token from it.",
        )
        @functools.wraps(command)
        def run(
            address: str | None, token: str | None, ca: Path | None, dev_folder: Path | None, **rest: Any
        ) -> Answer:
            if unless and rest[unless] is not None:
                return command(None, **rest)
            if dev_folder is not None:
                written = dev_file.read(dev_folder)
                address = address if _given("address") else written.service
                token = token if _given("token") else written.tokens.get(role)
            if not address:
                raise Failure("no address: set PENSTOCK_ADDRESS, or give --address or --dev", ExitCode.USAGE)
            if not token:
                raise Failure(
                    f"no token: set PENSTOCK_TOKEN to one with the role {role}, or give --dev", ExitCode.USAGE
                )
            return command(Connection(address, token.strip(), ca), **rest)

        return run

    return decorate


def _given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE

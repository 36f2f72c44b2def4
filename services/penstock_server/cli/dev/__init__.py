"""The command dev: service and HTTP shim on one machine, as the two processes that are deployed."""

from penstock_server.cli.dev.command import dev

__all__ = ["dev"]

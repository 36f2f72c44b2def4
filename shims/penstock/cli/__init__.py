"""The command `penstock`: runs shims, and lets people decide on approval requests."""

from penstock.cli.program import main

__all__ = ["main"]

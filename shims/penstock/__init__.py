"""Penstock's thin shims: ask the policy service, then enforce its answer in the agent's data path."""

__version__ = "0.1.0"

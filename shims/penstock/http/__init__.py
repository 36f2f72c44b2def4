"""The HTTP shim: a reverse proxy on asyncio protocols over httptools; its decisions are made in penstock._core."""

from penstock._core.limits import Limits
from penstock.http.shim import HttpShim

__all__ = ["HttpShim", "Limits"]

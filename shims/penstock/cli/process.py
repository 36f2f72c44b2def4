"""Hardens and runs the process of a shim."""

import asyncio
import ctypes
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["forbid_dumps", "run"]

_PR_SET_DUMPABLE = 4
"""Linux prctl(2); with 0 no core is dumped, and processes of the same user can neither trace nor read this one."""

_T = TypeVar("_T")


def forbid_dumps() -> bool:
    """Makes the process non-dumpable; returns False where the system cannot (anything but Linux)."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs the coroutine on a fresh loop: uvloop where it is installed (everywhere but Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)

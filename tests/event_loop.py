"""The event loop of tests: each has one of its own, although grpc.aio wants one for the whole process.

grpc.aio keeps one queue of completions a process. What a call or server of a former test still completes is taken out
of it by the loop of a later test, and handed to the loop that it belongs to, which is closed by then. The standard loop
raises there: in the middle of the queue, in a test that has nothing to do with it. Nobody waits for such a completion.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

__all__ = ["TestLoop"]


class TestLoop(asyncio.SelectorEventLoop):
    """Forgets what comes from other loops and threads after it was closed; else it is the standard loop."""

    __test__ = False

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Calls back soon; returns a cancelled handle if the loop is closed."""
        if not self.is_closed():
            return super().call_soon_threadsafe(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        handle.cancel()
        return handle

"""Describes a bidirectional gRPC call as the client uses it, and why one ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import grpc
import grpc.aio

__all__ = ["Stream", "describe", "race", "send"]


class Stream(Protocol):
    """Is one open call, as grpc.aio.StreamStreamCall; requests are encoded messages."""

    async def read(self) -> Any:
        """Returns the next response, or grpc.aio.EOF at the end; raises AioRpcError if the call broke."""
        ...

    async def write(self, message: bytes) -> None:
        """Returns when the message may be followed by another; raises AioRpcError if the call broke."""
        ...

    async def done_writing(self) -> None:
        """Ends the requests."""
        ...

    def cancel(self) -> bool:
        """Ends the call at once."""
        ...


async def send(call: Stream, message: bytes) -> None:
    """Writes one message; on a call that is over it waits for ever, because the reader beside it knows why it ended."""
    try:
        await call.write(message)
    except asyncio.InvalidStateError:
        await asyncio.get_running_loop().create_future()


async def race(*work: Coroutine[Any, Any, None]) -> None:
    """Runs all until one ends, cancels the others, and raises what the ended ones raised (the first in order)."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_WHY = {
    grpc.StatusCode.UNAUTHENTICATED: "the policy service does not accept the token",
    grpc.StatusCode.PERMISSION_DENIED: "the policy service does not permit this to the token's owner",
    grpc.StatusCode.UNIMPLEMENTED: "what answers at the address is not a policy service",
    grpc.StatusCode.UNAVAILABLE: "the policy service is not reachable",
}


def describe(error: grpc.aio.AioRpcError) -> str:
    """Says on one line why a call ended: for people, with what the service or gRPC said about it."""
    code = error.code()
    details = " ".join((error.details() or "").split())
    why = _WHY.get(code, f"the policy service answered {code.name}")
    return f"{why} ({details})" if details else why

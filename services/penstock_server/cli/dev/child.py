"""One supervised child process: started, awaited until it is ready, restarted when it dies, stopped by its id."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from penstock_server.cli.failure import Failure
from penstock_server.cli.text import printable

__all__ = ["Backoff", "Child"]

READY = "ready"
"""First word of the line on standard output with which a child says that it serves."""

READY_S = 60.0
"""Longest time from start to ready, seconds."""

STOP_S = 10.0
"""Time between SIGTERM and SIGKILL, seconds; the shim drains its requests within it."""

TIED = Path(__file__).with_name("tied.py")


class Backoff:
    """Counts waits between restarts: 0.5 s, doubled up to 30 s; a child that lived a minute begins anew."""

    FIRST_S, MOST_S, CALM_S = 0.5, 30.0, 60.0

    def __init__(self) -> None:
        self._next = self.FIRST_S

    def after(self, lived_s: float) -> float:
        """Returns how long to wait, seconds, after a child that lived so long."""
        if lived_s >= self.CALM_S:
            self._next = self.FIRST_S
        wait, self._next = self._next, min(self.MOST_S, self._next * 2)
        return wait


class Child:
    """Runs one command. say: takes lines for people; backoff: waits between restarts."""

    def __init__(
        self, name: str, command: Sequence[str], say: Callable[[str], None], backoff: Backoff | None = None
    ) -> None:
        self.name = name
        self._command = list(command)
        self._say = say
        self._backoff = backoff or Backoff()
        self._process: asyncio.subprocess.Process | None = None
        self._echo: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Returns the process id, or None before the start."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> str:
        """Starts the process and returns what it says after "ready". Raises Failure if it ends before, or is silent.

        Standard error goes where this process's own goes. The child is a session of its own, so that Ctrl-C reaches
        this process alone, and it inherits no PENSTOCK_* variable.
        """
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(TIED),
            str(os.getpid()),
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(READY_S):
                said = await self._ready(process)
        except TimeoutError:
            await self.stop()
            raise Failure(f"the {self.name} was not ready within {READY_S:.0f} s") from None
        self._echo = asyncio.ensure_future(self._repeat(process))
        return said

    async def supervise(self) -> None:
        """Waits for the process to end and starts it again, for ever. Call after start; cancel to end."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            assert self._process is not None
            status = await self._process.wait()
            wait = self._backoff.after(loop.time() - started)
            self._say(f"the {self.name} ended ({_ending(status)}); starting it again in {wait:g} s")
            await asyncio.sleep(wait)
            try:
                said = await self.start()
            except Failure as failure:
                self._say(failure.message)
            else:
                self._say(f"the {self.name} serves again{f' on {said}' if said else ''}")

    async def stop(self) -> None:
        """Ends the process: SIGTERM, after STOP_S SIGKILL. Does nothing if it has ended."""
        process = self._process
        if process is not None and process.returncode is None:
            try:
                process.terminate()
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except ProcessLookupError:  # ended on its own; the loop has yet to hear of it
                await process.wait()
            except TimeoutError:
                self._say(f"the {self.name} did not end within {STOP_S:.0f} s and is killed")
                process.kill()
                await process.wait()
        if self._echo is not None:
            await asyncio.wait({self._echo}, timeout=1.0)  # its last words; a grandchild may keep the pipe open
            self._echo.cancel()
            self._echo = None

    async def _ready(self, process: asyncio.subprocess.Process) -> str:
        while line := await _line(process):
            text = line.decode("utf-8", "replace").strip()
            if text.split(" ")[0] == READY:
                return text.removeprefix(READY).strip()
            self._say(printable(f"{self.name}: {text}"))
        status = await process.wait()
        raise Failure(f"the {self.name} ended before it was ready ({_ending(status)}); see its messages above")

    async def _repeat(self, process: asyncio.subprocess.Process) -> None:
        """Repeats what the child writes, so that its pipe never fills."""
        while line := await _line(process):
            self._say(printable(f"{self.name}: {line.decode('utf-8', 'replace').rstrip()}"))


async def _line(process: asyncio.subprocess.Process) -> bytes:
    """Returns the next line of standard output; b"" at its end."""
    assert process.stdout is not None
    try:
        return await process.stdout.readline()
    except ValueError:  # over asyncio's limit of 64 KiB; it has been dropped
        return b"(a line that is too long)\n"


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

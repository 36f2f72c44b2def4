"""Processes of the benchmark: started on free ports of loopback, measured, and ended by their process ids."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["BenchFailed", "Process", "cpu_s", "free_port", "program"]

START_S = 20.0
"""How long a process may take until it can be reached, seconds."""
END_S = 10.0
"""How long a process may take to end after SIGTERM, seconds."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
"""Linux prctl(2): the signal that a process gets when its parent ends, however that ends."""
LIBC = ctypes.CDLL(None)


class BenchFailed(Exception):
    """Says in one line why the figures cannot be trusted, or not be had."""


class Process:
    """Runs one program; its output goes to a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=_end_with_parent
            )
        self.pid = self._process.pid

    def await_address(self, family: socket.AddressFamily, address: tuple[str, int] | str) -> None:
        """Returns once the program accepts connections there. Raises BenchFailed if it ends or takes too long."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket(family) as probe:
                if probe.connect_ex(address) == 0:
                    return
            time.sleep(0.05)
        raise BenchFailed(f"cannot connect to {address}; its process said:\n{self.log.read_text()[-2000:]}")

    def await_port(self, port: int) -> None:
        """Returns once the program accepts connections on the port of 127.0.0.1; see await_address."""
        self.await_address(socket.AF_INET, ("127.0.0.1", port))

    def stop(self) -> None:
        """Ends the process, and with it its children."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(END_S)


def program(name: str, package: str) -> str:
    """Returns the path of a program. Raises BenchFailed, which names its package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise BenchFailed(f"{name} not found: install the package {package}")
    return found


def free_port() -> int:
    """Returns a port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def cpu_s(pids: Sequence[int]) -> float:
    """Returns the CPU time that the processes and their descendants have used, seconds, to 10 ms (proc(5), stat)."""
    ticks = 0
    for pid in _with_descendants(pids):
        # The name, second and in parentheses, may hold anything: count the fields from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def _end_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _with_descendants(pids: Sequence[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found.extend(int(child) for child in children.read_text().split())
    return found

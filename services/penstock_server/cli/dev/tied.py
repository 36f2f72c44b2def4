"""Runs a command that ends with its parent: python tied.py PARENT_PID COMMAND [ARGUMENT ...].

dev starts its children through this, so that a killed dev leaves no service behind that holds its database and port.
Run by path and free of imports from the package: it is over before it costs anything.
"""

import os
import signal
import sys

__all__ = ["main"]

PR_SET_PDEATHSIG = 1
"""prctl(2) on Linux: the signal that the kernel sends when the parent dies; it survives execve."""


def main(arguments: list[str]) -> None:
    """Replaces this process by the command. Elsewhere than on Linux the command is not tied."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was told
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- no shell is meant; the command is dev's own


if __name__ == "__main__":
    main(sys.argv[1:])

"""Computes how long to wait before the next attempt to reach the service."""

import random

__all__ = ["Backoff"]

FIRST_S = 0.05
"""Longest wait before the first new attempt, seconds: a restarted service is back at once."""
LONGEST_S = 2.0
"""Longest wait of all, seconds: a shim may be seconds late, but a fleet must not storm a service that comes back."""


class Backoff:
    """Doubles from FIRST_S to LONGEST_S; each wait is jittered down by at most half."""

    def __init__(self, jitter: random.Random | None = None) -> None:
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads attempts, protects nothing
        self._next_s = FIRST_S

    def wait_s(self) -> float:
        """Returns the next wait in seconds."""
        wait, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        return wait * self._jitter.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Starts again at FIRST_S, after an attempt that worked."""
        self._next_s = FIRST_S

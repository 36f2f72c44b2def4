"""What a scenario is: something that answers the same small GET, measured like all others in interleaved rounds."""

import http.client
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from bench.processes import BenchFailed
from bench.wrk import Load, Target

__all__ = ["BODY", "PATH", "Scenario", "fetch"]

PATH = "/v1/orders/1001"
BODY = (
    b'{"id":"ord_1001","status":"shipped","items":3,"total":"4.50","currency":"EUR",'
    b'"note":"left at the front door as asked"}'
)
"""What every scenario must answer, byte for byte: 119 bytes of JSON in which there is nothing to mask."""


class Scenario(ABC):
    """Starts what is measured, and afterwards proves that it did its work. The name is that of its figure."""

    name: str
    ratio_to: str | None = None

    @abstractmethod
    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts the processes, in an empty folder, in front of the upstream on that port of 127.0.0.1."""

    def verify(self, loads: Sequence[Load]) -> None:
        """Raises BenchFailed unless all of these loads were served with everything that the scenario promises."""
        return

    @abstractmethod
    def stop(self) -> None:
        """Ends the processes; also after a start that failed."""


def fetch(target: Target, path: str = "") -> tuple[int, bytes]:
    """Returns status and body of one GET; path: another one than the target's, on the same server."""
    url = urllib.parse.urlsplit(target.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request("GET", path or url.path, headers=dict(target.headers))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchFailed(f"{target.url}: {error!r}") from error
    finally:
        connection.close()

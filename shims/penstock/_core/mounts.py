"""Finds the upstream of a request by its path, from the configuration that the service pushed.

In: a ShimConfig; canonical paths. Out: routes, and what is left of the path below the mount. The longest mount wins.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from penstock._core.field_mask import FieldMask
from penstock._core.mask import Masker
from penstock._core.verdict import MaskSpec, ShimConfig, Upstream

__all__ = ["Mounts", "Route"]

RECORDED = frozenset({"secrets"})
"""Detectors that every recorded copy is masked with, whatever the rules say."""
MAX_MASKS = 256
"""Compiled masks that one route keeps; there are as many as different sets of matching mask rules."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Route:
    """Holds one upstream, taken apart for the data path. authority: host[:port] as the upstream sees it.

    base: path prefix of the upstream's URL, "" or "/base". token_from: headers of the agent's token, in preference.
    """

    upstream: Upstream
    tls: bool
    host: str
    port: int
    authority: str
    base: str
    heads: dict[object, object] = field(default_factory=dict, repr=False)
    """What heads of agents meant; incoming.py keeps it here, so that it ends with the configuration."""
    _masks: dict[MaskSpec, FieldMask] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, upstream: Upstream) -> "Route":
        """Returns the route of an upstream. Raises ValueError if its URL is none, which no service should send."""
        parts = urlsplit(upstream.url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in _DEFAULT_PORTS or not host:
            raise ValueError(f"the upstream {upstream.name} has no usable URL")
        default = _DEFAULT_PORTS[parts.scheme]
        port = parts.port or default
        literal = f"[{host}]" if ":" in host else host
        authority = literal if port == default else f"{literal}:{port}"
        return cls(upstream, parts.scheme == "https", host, port, authority, parts.path.rstrip("/"))

    def mask(self, spec: MaskSpec) -> FieldMask:
        """Returns the mask of what goes to the agent: the upstream's known values, and the masks of an answer."""
        mask = self._masks.get(spec)
        if mask is None:
            if len(self._masks) >= MAX_MASKS:
                self._masks.clear()
            mask = self._masks[spec] = FieldMask(Masker(self.upstream.known_values, spec), spec)
        return mask

    def recorded(self, spec: MaskSpec) -> FieldMask:
        """Returns the mask of the recorded copy: an answer's detectors, and always those of credentials."""
        return self.mask(spec if self.covers(spec) else MaskSpec(spec.detectors | RECORDED))

    @staticmethod
    def covers(spec: MaskSpec) -> bool:
        """Returns whether what is masked for the agent is masked enough to be recorded."""
        return "secrets" in spec.detectors or "all" in spec.detectors


class Mounts:
    """Finds routes; made anew for each configuration."""

    def __init__(self, config: ShimConfig) -> None:
        self._routes = {upstream.mount: Route.of(upstream) for upstream in config.upstreams}

    def routes(self) -> list[Route]:
        """Returns all routes."""
        return list(self._routes.values())

    def find(self, path: str) -> tuple[Route, str] | None:
        """Returns the route of a canonical path and the path below its mount, "/" at least; None if there is none."""
        end = len(path)
        while end > 0:
            route = self._routes.get(path[:end])
            if route is not None:
                return route, path[end:] or "/"
            end = path.rfind("/", 0, end)
        return None

"""Finds the upstream of a request by its Host or its path, from the configuration that the service pushed.

In: a ShimConfig; canonical paths. Out: routes, and what is left of the path below the mount. A host that an upstream
names wins, with the whole path; then the longest mount.
"""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from penstock._core.describe import DEFAULT_PORTS, authority_of
from penstock._core.field_mask import FieldMask
from penstock._core.mask import Masker
from penstock._core.verdict import KnownValue, MaskSpec, ShimConfig, Upstream

__all__ = ["Mounts", "Route"]

RECORDED = frozenset({"secrets"})
"""Detectors that every recorded copy is masked with, whatever the rules say."""
_PORT = re.compile(rb":[0-9]{1,5}\Z")
MAX_MASKS = 256
"""Compiled masks that one route keeps; there are as many as different sets of matching mask rules."""


@dataclass(slots=True)
class Route:
    """Holds one upstream, taken apart for the data path. authority: host[:port] as the upstream sees it.

    known: every secret of the shim's upstreams, this one's among them. base: path prefix of the upstream's URL, "" or
    "/base". token_from: headers of the agent's token, in preference.
    """

    upstream: Upstream
    known: tuple[KnownValue, ...] = field(repr=False)
    tls: bool
    host: str
    port: int
    authority: str
    base: str
    heads: dict[object, object] = field(default_factory=dict, repr=False)
    """What heads of agents meant; incoming.py keeps it here, so that it ends with the configuration."""
    _masks: dict[MaskSpec, FieldMask] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, upstream: Upstream, known: tuple[KnownValue, ...] | None = None) -> "Route":
        """Returns the route of an upstream. Raises ValueError if its URL is none, which no service should send."""
        parts = urlsplit(upstream.url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in DEFAULT_PORTS or not host:
            raise ValueError(f"the upstream {upstream.name} has no usable URL")
        return cls(
            upstream,
            upstream.known_values if known is None else known,
            parts.scheme == "https",
            host,
            parts.port or DEFAULT_PORTS[parts.scheme],
            authority_of(upstream.url),
            parts.path.rstrip("/"),
        )

    def mask(self, spec: MaskSpec) -> FieldMask:
        """Returns the mask of what goes to the agent: all known values, and the masks of an answer."""
        mask = self._masks.get(spec)
        if mask is None:
            if len(self._masks) >= MAX_MASKS:
                self._masks.clear()
            mask = self._masks[spec] = FieldMask(Masker(self.known, spec), spec)
        return mask

    def recorded(self, spec: MaskSpec) -> FieldMask:
        """Returns the mask of the recorded copy: an answer's detectors, and always those of credentials."""
        return self.mask(spec if self.covers(spec) else MaskSpec(spec.detectors | RECORDED))

    def leads_where(self, other: "Route") -> bool:
        """Returns whether both lead to the same place in the same way; secrets apart, which may have been replaced."""
        return replace(self.upstream, known_values=()) == replace(other.upstream, known_values=())

    @staticmethod
    def covers(spec: MaskSpec) -> bool:
        """Returns whether what is masked for the agent is masked enough to be recorded."""
        return "secrets" in spec.detectors or "all" in spec.detectors


class Mounts:
    """Finds routes; made anew for each configuration."""

    def __init__(self, config: ShimConfig) -> None:
        # An upstream may hold what another one's credential is made of, so each is masked with the secrets of all.
        known = tuple(dict.fromkeys(value for upstream in config.upstreams for value in upstream.known_values))
        self._routes = {upstream.mount: Route.of(upstream, known) for upstream in config.upstreams}
        self._names = {route.upstream.name: route for route in self._routes.values()}
        self._hosts = {host.encode(): route for route in self._routes.values() for host in route.upstream.hosts}
        self.by_host = bool(self._hosts)
        """Whether any upstream is found by its host."""

    def named(self, name: str) -> Route | None:
        """Returns the route of the upstream of that name, or None."""
        return self._names.get(name)

    def find(self, path: str) -> tuple[Route, str] | None:
        """Returns the route of a canonical path and the path below its mount, "/" at least; None if there is none."""
        end = len(path)
        while end > 0:
            route = self._routes.get(path[:end])
            if route is not None:
                return route, path[end:] or "/"
            end = path.rfind("/", 0, end)
        return None

    def at(self, host: bytes) -> Route | None:
        """Returns the route of a Host header, with or without its port, in any case; None if no upstream names it."""
        host = host.lower()
        return self._hosts.get(host) or self._hosts.get(_PORT.sub(b"", host))

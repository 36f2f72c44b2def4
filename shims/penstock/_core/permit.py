"""Checks what an allow says against the configuration of now, the last time before anything is forwarded.

In: a verdict, the route that was asked about, and the route of that upstream now. Out: the route to forward on, or the
refusal: an allow must lead where it was asked for, and its credential only to a host that its keeper named.
"""

from penstock._core import refusals
from penstock._core.mounts import Route
from penstock._core.refusal import Refusal
from penstock._core.verdict import Verdict

__all__ = ["permitted_route"]


def permitted_route(verdict: Verdict, asked: Route, now: Route | None) -> Route | Refusal:
    """Returns the route that an allowed request takes, or why it takes none. now: None if the upstream is gone."""
    if now is None or (now is not asked and not now.leads_where(asked)):
        return refusals.STALE  # judged by a policy that sends it elsewhere than the head was read for
    if verdict.credential is not None:
        value = verdict.credential[1]
        if now.authority not in verdict.credential_hosts:
            return refusals.credential_refused(now.upstream.name, verdict.decision_id)
        if not any(known.value in value for known in now.known):
            return refusals.STALE  # a secret that was just replaced: nothing here could mask it yet
    return now

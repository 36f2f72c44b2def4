"""What an allow must still fit when it comes."""

from dataclasses import replace

from penstock._core import refusals
from penstock._core.mounts import Route
from penstock._core.permit import permitted_route
from penstock._core.refusal import Refusal
from penstock._core.verdict import KnownValue, Outcome, Upstream, Verdict

VALUE = b"va" + b"lue-of-the-secret"
UPSTREAM = Upstream("billing", "https://b.example", "/billing", known_values=(KnownValue("billing-key", VALUE),))


def allow(value: bytes | None = None, *hosts: str) -> Verdict:
    """Returns an allow, with that credential for those hosts."""
    credential = None if value is None else ("x-api-key", value)
    return Verdict("c", Outcome.ALLOW, decision_id="dec_1", credential=credential, credential_hosts=hosts)


def test_the_route_of_now_is_taken() -> None:
    """A new configuration that leads to the same place does no harm; its secrets count."""
    asked, now = Route.of(UPSTREAM), Route.of(UPSTREAM)
    assert permitted_route(allow(), asked, now) is now
    assert permitted_route(allow(b"Bearer " + VALUE, "b.example"), asked, now) is now


def test_an_allow_for_another_place_is_stale() -> None:
    """Neither an upstream that is gone nor one that has moved gets what was judged before."""
    asked = Route.of(UPSTREAM)
    moved = Route.of(replace(UPSTREAM, url="https://elsewhere.example"))
    assert permitted_route(allow(), asked, None) is refusals.STALE
    assert permitted_route(allow(), asked, moved) is refusals.STALE


def test_a_credential_goes_only_where_its_keeper_said() -> None:
    """The list that came with it decides, not the policy; the refusal names neither value nor host."""
    route = Route.of(UPSTREAM)
    refused = permitted_route(allow(VALUE, "other.example"), route, route)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.code, refused.decision) == (403, "secret_host_refused", "dec_1")
    assert VALUE.decode() not in repr(refused)


def test_a_credential_that_nothing_here_can_mask_is_not_used() -> None:
    """A secret that was just replaced waits for the configuration that holds it."""
    route = Route.of(UPSTREAM)
    assert permitted_route(allow(b"another-" + b"value-entirely", "b.example"), route, route) is refusals.STALE

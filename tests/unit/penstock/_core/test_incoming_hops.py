"""Heads of requests that pass several recipients: Via and Max-Forwards."""

import pytest

from penstock._core.refusal import RefusedError
from penstock._core.via import MAX_PASSES
from unit.penstock._core.fake_sides import CREDENTIAL, a_request


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("credential", [None, CREDENTIAL, ("x-note", b"real")])
def test_the_shim_names_itself_behind_those_before_it(version: str, credential: tuple[str, bytes] | None) -> None:
    """Once, in the version that it was spoken to; what is judged is what the agent says."""
    request = a_request("GET", "/billing/x", ("Via", "1.1 first"), ("X-Note", "1"), ("VIA", "1.0 b"), version=version)
    assert [value for name, value in request.headers if name == "via"] == [b"1.1 first", b"1.0 b"]
    lines = request.head(b"", credential).split(b"\r\n")
    named = [line for line in lines if line.startswith(b"via:")]
    assert named == [b"via: 1.1 first", b"via: 1.0 b", b"via: %b penstock" % version.encode()]


def test_a_request_that_goes_in_circles_is_refused() -> None:
    """After more shims than anybody sets in a row; also where their names stand in several fields."""
    once = ("Via", "1.1 penstock")
    assert a_request("GET", "/billing/x", *[once] * MAX_PASSES).path == "/x"
    with pytest.raises(RefusedError) as caught:
        a_request("GET", "/billing/x", *[once] * (MAX_PASSES - 1), ("via", "1.1 penstock, 1.1 penstock"))
    assert (caught.value.refusal.status, caught.value.refusal.code) == (508, "loop_detected")


def test_options_go_as_far_as_they_may() -> None:
    """One recipient less is left for the next one; what else is called nearly so stays as it is."""
    request = a_request("OPTIONS", "/billing/x", ("X-Max-Forwards", "3"), ("Max-Forwards", "3"))
    head = request.head(b"", None)
    assert b"\r\nmax-forwards: 2\r\n" in head and b"\r\nx-max-forwards: 3\r\n" in head
    assert ("max-forwards", b"2") in request.headers
    assert b"\r\nmax-forwards: 3\r\n" in a_request("GET", "/billing/x", ("Max-Forwards", "3")).head(b"", None)


@pytest.mark.parametrize(
    ("hops", "status"), [("0", 405), ("00", 405), ("-1", 400), ("x", 400), ("", 400), ("9" * 99, 400)]
)
def test_options_that_may_go_no_further_end_here(hops: str, status: int) -> None:
    """Nothing is asked, and nothing forwarded."""
    with pytest.raises(RefusedError) as caught:
        a_request("OPTIONS", "/billing/x", ("Max-Forwards", hops))
    assert caught.value.refusal.status == status

"""Names the shim among those a message has passed (Via: RFC 9110, section 7.6.3), and ends what goes in circles.

All shims have one pseudonym, so that Via tells an upstream nothing about the network behind it. A chain of shims is
legitimate, an agent's own before a company's; a circle is a longer chain than anybody builds.
"""

from penstock._core.refusal import RefusedError

__all__ = ["MAX_PASSES", "VIA", "VIA_HTTP10", "end_circles"]

VIA = b"via: 1.1 penstock\r\n"
"""The line that is added to a message that came in HTTP/1.1."""
VIA_HTTP10 = b"via: 1.0 penstock\r\n"
"""The same for one that came in HTTP/1.0."""
MAX_PASSES = 4
"""Shims that a request may have passed already."""

_PSEUDONYM = b"penstock"


def end_circles(value: bytes, passed: int) -> int:
    """Returns how many shims a value of Via names besides those `passed`; raises RefusedError (508) for too many."""
    for member in value.split(b","):
        words = member.split()
        passed += len(words) > 1 and words[1].lower() == _PSEUDONYM
    if passed > MAX_PASSES:
        reason = "The request was not forwarded: it goes in circles, because an upstream leads back to its own shim."
        raise RefusedError(508, "loop_detected", reason)
    return passed

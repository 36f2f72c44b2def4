"""One attempt to get around the shim, as data: what is sent, and what must come of it.

A new case is one entry in one of the lists that `test_no_way_round.py` gathers. In `sent`, @AGENT@ stands for the token
of an agent that the policy allows everything but /admin, @OTHER@ for that of one that no rule knows, @ORIGIN@ for the
origin's host and port.
"""

from dataclasses import dataclass, field

__all__ = ["AFTER", "AUTH", "BARE", "CASES_END", "HIDDEN", "Case", "chunked", "crafted", "request"]

AUTH = b"Authorization: Bearer @AGENT@\r\n"
CASES_END = b"Connection: close\r\n"
"""Makes a request the last one of its connection, so that the agent sees the end of what comes back."""


@dataclass(frozen=True)
class Case:
    """Holds one attempt. row: "table", or the number of the item of abuse. sent: each piece is one write.

    answers: what the agent gets, "200" or "403 policy_denied", in order. paths: what is judged, if that says something.
    arrived: bytes that must be in what arrives; never: that must not, beside the agent's tokens; both in lower case.
    body: what arrives of a body that no rule reads and the shim did not gather; cut: and then no end of it.
    reply: bytes that the origin answers in the place of its usual "ok"; shown: what the agent must see of it; hidden:
    what it must not, also decoded.
    resolves: addresses of a name, one list for each time it is asked. upper: the origin tells /ADMIN from /admin.
    """

    row: str
    name: str
    sent: bytes | tuple[bytes, ...]
    answers: tuple[str, ...] = ("200",)
    paths: tuple[str, ...] | None = None
    arrived: tuple[bytes, ...] = ()
    never: tuple[bytes, ...] = ()
    body: bytes | None = None
    cut: bool = False
    reply: bytes = b""
    shown: tuple[bytes, ...] = ()
    hidden: tuple[bytes, ...] = ()
    resolves: dict[str, list[list[str]]] = field(default_factory=dict)
    upper: bool = False

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Returns what is sent, piece by piece."""
        return (self.sent,) if isinstance(self.sent, bytes) else self.sent

    @property
    def refused(self) -> bool:
        """Tells whether nothing may arrive: every answer is a refusal, and each of them says why."""
        return not self.cut and not self.reply and all(" " in answer for answer in self.answers)


def crafted(start: str | bytes, *lines: bytes, body: bytes = b"", host: bytes = b"Host: shim\r\n") -> bytes:
    """Returns a request as an attacker writes it: lines with their own ends, behind Host and token."""
    start = start.encode("latin-1") if isinstance(start, str) else start
    return start + b"\r\n" + host + AUTH + b"".join(lines) + b"\r\n" + body


def request(target: str | bytes, *lines: bytes, method: str = "GET", body: bytes = b"", last: bool = True) -> bytes:
    """Returns a proper request; last: the connection ends after its answer."""
    target = target.encode("latin-1") if isinstance(target, str) else target
    framing = [b"Content-Length: %d\r\n" % len(body)] if body else []
    more = [*(line + b"\r\n" for line in lines), *framing, *([CASES_END] if last else [])]
    return crafted(method.encode() + b" " + target + b" HTTP/1.1", *more, body=body)


def chunked(*pieces: bytes, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """Returns a body in these chunks, with its end."""
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return chunks + b"0\r\n" + trailers + b"\r\n"


HIDDEN = request("/b/admin/hidden", last=False)
"""What smuggling would bring to the origin unjudged; served as a request of its own, it is denied."""
BARE = HIDDEN.replace(AUTH, b"")
"""The same as the body of a request: there an agent's token is refused for itself."""
AFTER = request("/b/after")
"""What ends a connection: it is served only if the shim still knows where requests begin."""

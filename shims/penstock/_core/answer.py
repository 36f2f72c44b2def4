"""Reads the head of an upstream's answer: what of it goes to the agent, how its body is told apart, and masked values.

In: status and field lines as the parser found them. Out: an AnswerHead. Upstreams are hostile by assumption: fields of
one connection, other ways to the upstream (Alt-Svc) and forged `x-penstock-` fields never reach the agent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from http import HTTPStatus

from penstock._core.headers import HOP_BY_HOP
from penstock._core.via import VIA, VIA_HTTP10

__all__ = ["AnswerHead", "BadAnswerError", "read_answer", "serialise"]

MEMO_BYTES = 256
"""Longest field value in bytes whose sorting is kept."""
MAX_LENGTH_DIGITS = 15
"""Digits of the longest Content-Length that is read: petabytes."""

_DROPPED = HOP_BY_HOP | {"alt-svc", "accept-ranges", "content-range"}
_INTEGRITY = frozenset(
    {
        "etag",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "want-repr-digest",
        "x-goog-hash",
        "x-goog-stored-content-length",
    }
)
"""Fields that describe the exact bytes of the body: wrong once it was masked."""
_INTEGRITY_PREFIXES = ("x-amz-checksum-", "x-ms-content-")
_NO_BODY = frozenset({204, 304})


class BadAnswerError(ValueError):
    """Says that an answer cannot be passed on; the reason is one line without anything of the answer."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class AnswerHead:
    """Holds a head. fields: what goes to the agent, not masked yet. integrity: those that a changed body makes wrong.

    length: bytes of the body, None if only its end tells. bodiless: there is none, whatever the length says.
    via: the line that names this shim. dated: the upstream said when it answered.
    """

    status: int
    fields: list[tuple[str, bytes]]
    integrity: list[tuple[str, bytes]]
    content_type: str
    content_encoding: str
    length: int | None
    bodiless: bool
    via: bytes = VIA
    dated: bool = False


class _Kind(IntEnum):
    KEPT = 0
    DROPPED = 1
    INTEGRITY = 2
    LENGTH = 3
    CODING = 4
    CONNECTION = 5
    TYPE = 6
    ENCODING = 7
    DATE = 8


_SPECIAL = {
    "content-length": _Kind.LENGTH,
    "transfer-encoding": _Kind.CODING,
    "connection": _Kind.CONNECTION,
    "content-type": _Kind.TYPE,
    "content-encoding": _Kind.ENCODING,
    "date": _Kind.DATE,
}


def read_answer(
    status: int, headers: Iterable[tuple[bytes, bytes]], *, to_head: bool, http10: bool = False
) -> AnswerHead:
    """Returns the head; to_head: it answers a HEAD request; http10: it came in HTTP/1.0.

    Raises BadAnswerError for what is ambiguous.
    """
    if not 200 <= status <= 599:
        raise _ambiguous("no valid status")
    if status == 206 and not to_head:
        raise BadAnswerError("bad_answer", "The upstream sent a part of its answer that nobody asked for.")
    fields: list[tuple[str, bytes]] = []
    integrity: list[tuple[str, bytes]] = []
    content_type = content_encoding = ""
    length: int | None = None
    chunked = dated = False
    named: list[str] = []
    for raw_name, raw_value in headers:
        kind, name, value = _kept(raw_name, raw_value) if len(raw_value) <= MEMO_BYTES else _sort(raw_name, raw_value)
        if kind is _Kind.KEPT:
            fields.append((name, value))
        elif kind is _Kind.DATE:
            dated = True
            fields.append((name, value))
        elif kind is _Kind.TYPE:
            if content_type:
                raise _ambiguous("two content types")
            content_type = value.decode("latin-1")
            fields.append((name, value))
        elif kind is _Kind.LENGTH:
            if length is not None or not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
                raise _ambiguous("no valid length")
            length = int(value)
        elif kind is _Kind.CODING:
            if chunked or value.lower() != b"chunked":
                raise _ambiguous("a transfer coding that this shim does not read")
            chunked = True
        elif kind is _Kind.ENCODING:
            content_encoding = ", ".join(filter(None, (content_encoding, value.decode("latin-1"))))
            fields.append((name, value))
        elif kind is _Kind.INTEGRITY:
            integrity.append((name, value))
        elif kind is _Kind.CONNECTION:
            named += [option.strip().lower() for option in value.decode("latin-1").split(",")]
    if chunked and length is not None:
        raise _ambiguous("both a length and chunks")
    if named:
        fields = [field for field in fields if field[0] not in named]
    bodiless = to_head or status in _NO_BODY
    via = VIA_HTTP10 if http10 else VIA
    return AnswerHead(status, fields, integrity, content_type, content_encoding, length, bodiless, via, dated)


def serialise(status: int, fields: Iterable[tuple[str, bytes]], framing: bytes) -> bytes:
    """Returns the head as it goes to the agent; the reason phrase is the standard one, never the upstream's."""
    lines = [_status_line(status)]
    lines += [b"%b: %b\r\n" % (name.encode("ascii"), value) for name, value in fields]
    lines += (framing, b"\r\n")
    return b"".join(lines)


@lru_cache(128)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


@lru_cache(8192)
def _kept(name: bytes, value: bytes) -> tuple[_Kind, str, bytes]:
    return _sort(name, value)


def _sort(raw_name: bytes, raw_value: bytes) -> tuple[_Kind, str, bytes]:
    name = raw_name.decode("latin-1").lower()
    value = raw_value.strip(b" \t")
    if name in _SPECIAL:
        return _SPECIAL[name], name, value
    if name in _DROPPED or name.startswith("x-penstock-") or not name.isascii():
        return _Kind.DROPPED, name, value
    if name in _INTEGRITY or name.startswith(_INTEGRITY_PREFIXES):
        return _Kind.INTEGRITY, name, value
    return _Kind.KEPT, name, value


def _ambiguous(what: str) -> BadAnswerError:
    return BadAnswerError("bad_answer", f"The upstream's answer has {what}; nothing of it was passed on.")

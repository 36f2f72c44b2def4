"""Writes asks and frames in protobuf's wire form by hand: the generated classes cost five times more of the data path.

Wire form: protobuf.dev/programming-guides/encoding. The tests compare every field with the generated classes.
"""

from functools import lru_cache

from penstock._core.describe import BodyState
from penstock._core.verdict import Ask, Frame, FrameKind

__all__ = ["MAX_FRAME_BODY", "ask_field", "cancelled_field", "frame_field", "run_field"]

MAX_FRAME_BODY = 65536
"""Largest body of one frame in bytes; see penstock.v1.Frame.body."""

_MEMO_HEADERS = 4096
"""Headers whose wire form is kept; agents repeat nearly all of theirs."""
_MEMO_EXCHANGES = 1024
"""Exchanges under way whose names are kept in wire form."""
_MEMO_BYTES = 256
"""Longest header value in bytes that is kept."""

_BODY_STATES = {BodyState.NONE: b"\x30\x01", BodyState.WITHHELD: b"\x30\x02", BodyState.WHOLE: b"\x30\x03"}
_FRAME_KINDS = {
    FrameKind.REQUEST: b"\x18\x01",
    FrameKind.RESPONSE: b"\x18\x02",
    FrameKind.RESPONSE_BODY: b"\x18\x03",
    FrameKind.REQUEST_BODY: b"\x18\x04",
    FrameKind.END: b"\x18\x05",
}


def _varint(number: int) -> bytes:
    """Writes an unsigned integer of at most 64 bits; raises ValueError outside of them."""
    if not 0 <= number < 1 << 64:
        raise ValueError("an integer does not fit into 64 bits")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = tuple(_varint(number) for number in range(1024))


def _size(number: int) -> bytes:
    return _SHORT[number] if number < 1024 else _varint(number)


def _bytes(tag: bytes, value: bytes) -> bytes:
    """Writes one length-delimited field that is not empty; an empty one is absent in proto3."""
    return tag + _size(len(value)) + value if value else b""


@lru_cache(_MEMO_HEADERS)
def _kept_header(tag: bytes, header: tuple[str, bytes]) -> bytes:
    return _header(tag, header)


def _header(tag: bytes, header: tuple[str, bytes]) -> bytes:
    field = _bytes(b"\x0a", header[0].encode()) + _bytes(b"\x12", header[1])
    return tag + _size(len(field)) + field


def _headers(tag: bytes, headers: tuple[tuple[str, bytes], ...]) -> bytes:
    return b"".join([(_kept_header if len(h[1]) <= _MEMO_BYTES else _header)(tag, h) for h in headers])


def ask_field(ask: Ask) -> bytes:
    """Writes one element of DecideStreamRequest.asks; raises ValueError on text that UTF-8 cannot carry."""
    http = ask.action.http
    query = http.query.encode()
    request = b"".join(
        (
            _bytes(b"\x0a", http.method.encode()),
            _bytes(b"\x12", http.authority.encode()),
            _bytes(b"\x1a", http.path.encode()),
            _bytes(b"\x22", query) if query else b"",
            _headers(b"\x2a", http.headers),
            _BODY_STATES[http.body_state],
            _bytes(b"\x3a", http.body) if http.body else b"",
        )
    )
    action = _bytes(b"\x0a", ask.action.upstream.encode()) + b"\x12" + _size(len(request)) + request
    field = b"".join(
        (
            _bytes(b"\x0a", ask.call_id.encode()),
            _bytes(b"\x12", ask.token.encode()),
            b"\x1a",
            _size(len(action)),
            action,
            _bytes(b"\x22", ask.session.encode()),
            b"\x28\x01" if ask.can_hold else b"",
        )
    )
    return b"\x12" + _size(len(field)) + field


def cancelled_field(call_id: str) -> bytes:
    """Writes one element of DecideStreamRequest.cancelled."""
    value = call_id.encode()
    return b"\x1a" + _size(len(value)) + value


def run_field(run_id: str) -> bytes:
    """Writes RecordRequest.run_id."""
    return _bytes(b"\x0a", run_id.encode())


@lru_cache(_MEMO_EXCHANGES)
def _exchange(call_id: str, upstream: str, session: str) -> bytes:
    """Writes what all frames of an exchange have in common."""
    label = session.encode("utf-8", "backslashreplace")
    return _bytes(b"\x12", call_id.encode()) + _bytes(b"\x2a", upstream.encode()) + _bytes(b"\x32", label)


@lru_cache(16)
def _at_ms(at_ms: int) -> bytes:
    """Writes Frame.at_ms; many frames share a millisecond."""
    return b"\x20" + _varint(at_ms)


def frame_field(seq: int, frame: Frame) -> bytes:
    """Writes one element of RecordRequest.frames; text that UTF-8 cannot carry is escaped.

    Raises ValueError on a body of more than MAX_FRAME_BODY bytes or a number outside of its field.
    """
    if len(frame.body) > MAX_FRAME_BODY:
        raise ValueError(f"a frame's body has more than {MAX_FRAME_BODY} bytes")
    parts = [
        b"\x08",
        _varint(seq),
        _exchange(frame.call_id, frame.upstream, frame.session),
        _FRAME_KINDS[frame.kind],
        _at_ms(frame.at_ms),
    ]
    if frame.start:
        parts.append(_bytes(b"\x3a", frame.start.encode("utf-8", "backslashreplace")))
    if frame.headers:
        parts.append(_headers(b"\x42", frame.headers))
    if frame.body:
        parts.append(_bytes(b"\x4a", frame.body))
    if frame.outcome:
        parts.append(_bytes(b"\x52", frame.outcome.encode()))
    for kind, count in frame.masked.items():
        entry = _bytes(b"\x0a", kind.encode()) + b"\x10" + _varint(count)
        parts.append(b"\x5a" + _size(len(entry)) + entry)
    field = b"".join(parts)
    return b"\x12" + _size(len(field)) + field

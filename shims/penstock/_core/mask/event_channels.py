"""Holds back the events of a stream while text in them is not final, and puts them together again, masked.

In: events as parts (bytes, or pieces of a channel's text). Out: bytes, in the order of the events.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock._core.mask.event_dialects import Channel
from penstock._core.mask.finder import Find, Finder
from penstock._core.mask.json_string import encoded, raw_spans
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import Stretch, Tracker

__all__ = ["WAITING_LIMIT", "Channels", "Piece", "Waiting"]

WAITING_LIMIT = 1 << 20
"""Bytes of events that may wait for text before them to become final."""
PATIENCE = 32
"""Events with other texts after which a text is taken to have ended: others must not wait for ever."""
CHANNELS_LIMIT = 256
"""Texts that are told at the same time; beyond it the one that was quiet for longest ends."""


class _Text:
    """Holds one text that is told in pieces."""

    def __init__(self, channel: Channel, tracker: Tracker) -> None:
        self.channel = channel
        self.tracker = tracker
        self.stretches: deque[Stretch] = deque()
        self.fed_at = 0
        self._quoted = False
        self._quoted_to = 0

    def feed(self, data: bytes, also: Sequence[Find], *, last: bool = False) -> None:
        found = self.tracker.feed(data, last=last, also=also)
        if found and self.channel.signed:
            raise Unmaskable("a known value stands in signed text, which cannot be changed")
        self.stretches.extend(found)


@dataclass(slots=True)
class Piece:
    """Holds the piece [start, end) of a text; raw: its bytes, inside of a JSON string or as they are."""

    text: _Text
    start: int
    end: int
    raw: bytes = field(repr=False)
    in_json: bool


class Channels:
    """Holds the texts that are being told."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._finder = finder
        self._mint = mint
        self._texts: dict[tuple[object, ...], _Text] = {}
        self._events = 0

    def piece(self, channel: Channel, data: bytes, raw: bytes, also: Sequence[Find], *, in_json: bool) -> Piece:
        """Feeds the next piece of a channel's text."""
        text = self._texts.pop(channel.key, None)
        if text is None:
            finder = self._finder.known if channel.known_only else self._finder
            text = _Text(channel, Tracker(finder, self._mint))
        self._texts[channel.key] = text  # the one that was quiet for longest comes first
        text.fed_at = self._events
        start = text.tracker.fed
        text.feed(data, also)
        return Piece(text, start, start + len(data), raw, in_json)

    def after_event(self, ends: Sequence[tuple[object, ...]]) -> None:
        """Ends the channels whose keys begin as given, and those that were quiet for long."""
        self._events += 1
        for key in [key for key in self._texts if any(key[: len(end)] == end for end in ends)]:
            self._end(key)
        for key in list(self._texts):
            if len(self._texts) <= CHANNELS_LIMIT and self._texts[key].fed_at > self._events - PATIENCE:
                break
            self._end(key)

    def _end(self, key: tuple[object, ...]) -> None:
        self._texts.pop(key).feed(b"", (), last=True)


class Waiting:
    """Holds events until they are final."""

    def __init__(self) -> None:
        self._events: deque[list[bytes | Piece]] = deque()
        self._size = 0

    def put(self, event: list[bytes | Piece]) -> None:
        """Adds an event; raises Unmaskable if too much waits."""
        self._events.append(event)
        self._size += _size(event)
        if self._size > WAITING_LIMIT:
            self._take_final([])

    def take(self) -> bytes:
        """Returns the events that are final, up to the first that is not."""
        out: list[bytes] = []
        self._take_final(out)
        if self._size > WAITING_LIMIT:
            raise Unmaskable("too much of the stream waits for what could be a secret")
        return b"".join(out)

    def _take_final(self, out: list[bytes]) -> None:
        while self._events and all(isinstance(p, bytes) or p.text.tracker.final >= p.end for p in self._events[0]):
            event = self._events.popleft()
            self._size -= _size(event)
            out += [part if isinstance(part, bytes) else _rendered(part) for part in event]


def _size(event: list[bytes | Piece]) -> int:
    return sum(len(part) if isinstance(part, bytes) else len(part.raw) for part in event)


def _rendered(piece: Piece) -> bytes:
    """Returns the raw bytes of a piece without its masked stretches; a token stands where its stretch begins."""
    stretches = piece.text.stretches
    while stretches and stretches[0].end <= piece.start:
        stretches.popleft()
    spans, tokens = [], []
    for stretch in stretches:
        if stretch.start >= piece.end:
            break
        spans.append((max(stretch.start - piece.start, 0), min(stretch.end, piece.end) - piece.start))
        token = stretch.token if stretch.start >= piece.start else b""
        tokens.append(encoded(token) if piece.in_json else token)
    if not spans:
        return piece.raw
    out = []
    at = 0
    for (low, high), token in zip(raw_spans(piece.raw, spans) if piece.in_json else spans, tokens, strict=True):
        out += [piece.raw[at:low], token]
        at = high
    out.append(piece.raw[at:])
    return b"".join(out)

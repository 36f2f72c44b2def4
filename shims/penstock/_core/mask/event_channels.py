"""Holds back the events of a stream while text in them is not final, and puts them together again, masked.

In: events as parts (bytes, or pieces of a channel's text). Out: bytes, in the order of the events. A stretch that goes
over several events leaves its token in the event in which it begins; the others lose their part of it.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock._core.mask.event_dialects import Channel
from penstock._core.mask.find import Find
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_string import encoded, raw_spans
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import Stretch, Tracker

__all__ = ["WAITING_LIMIT", "Channels", "Piece", "Waiting"]

WAITING_LIMIT = 1 << 20
"""Bytes of events that may wait for text before them to become final."""
PATIENCE = 64
"""Events after which a text has ended that nothing else ends: what comes behind it must not wait for ever."""
LONG_PATIENCE = 512
"""The same for a text whose end its dialect tells; so many events, or PATIENCE pieces of other texts."""
CHANNELS_LIMIT = 256
"""Texts that are told at the same time; beyond it the one that was quiet for longest ends."""

_QUOTES = re.compile(rb'\\.|"|\\$', re.DOTALL)


class _Text:
    """Holds one text that is told in pieces."""

    def __init__(self, channel: Channel, tracker: Tracker) -> None:
        self.channel = channel
        self.tracker = tracker
        self.stretches: deque[Stretch] = deque()
        self.fed_at = 0, 0  # events and pieces that had come before its last piece
        self.named_to = -1  # where the last stretch begins whose token is written
        self.quoted = _Quoted() if channel.is_json else None

    def feed(self, data: bytes, also: Sequence[Find], *, last: bool = False) -> None:
        found = self.tracker.feed(data, last=last, also=also)
        if found:
            if self.channel.signed:
                raise Unmaskable("a known value stands in signed text, which cannot be changed")
            self.stretches.extend(found)


class _Quoted:
    """Follows a text that is JSON, to tell whether a place in it is inside of a string."""

    def __init__(self) -> None:
        self._inside = False
        self._escape = b""

    def places(self, data: bytes, at: Sequence[int]) -> list[bool]:
        """Takes the next piece; returns for sorted places in it whether they are inside of a string."""
        shift = len(self._escape)
        text = self._escape + data
        self._escape = b""
        waiting = deque(place + shift for place in at)
        result = []
        for match in _QUOTES.finditer(text):
            while waiting and waiting[0] <= match.start():
                waiting.popleft()
                result.append(self._inside)
            if match[0] == b'"':
                self._inside = not self._inside
            elif match[0] == b"\\":
                self._escape = b"\\"
        return result + [self._inside] * len(waiting)


@dataclass(slots=True)
class Piece:
    """Holds the piece [start, end) of a text; raw: its bytes, inside of a JSON string (in_json) or as they are."""

    text: _Text
    start: int
    end: int
    raw: bytes = field(repr=False)
    in_json: bool
    data: bytes = field(repr=False)
    is_json: bool = False
    """Whether it is JSON by itself."""


class Channels:
    """Holds the texts that are being told."""

    def __init__(self, finder: Finder, mint: Mint) -> None:
        self._finder = finder
        self._mint = mint
        self._texts: dict[tuple[object, ...], _Text] = {}
        self._events = 0
        self._pieces = 0

    def piece(self, channel: Channel, data: bytes, raw: bytes, also: Sequence[Find], *, in_json: bool) -> Piece:
        """Feeds the next piece of a channel's text."""
        text = self._texts.pop(channel.key, None)
        if text is None:
            finder = self._finder.known if channel.known_only else self._finder
            text = _Text(channel, Tracker(finder, self._mint))
        self._texts[channel.key] = text  # the one that was quiet for longest comes first
        self._pieces += 1
        text.fed_at = self._events, self._pieces
        start = text.tracker.fed
        text.feed(data, also)
        return Piece(text, start, start + len(data), raw, in_json, data)

    def after_event(self, ends: Sequence[tuple[object, ...]]) -> None:
        """Ends the channels whose keys begin as given, and those that were quiet for long."""
        self._events += 1
        for end in ends:
            for key in [key for key in self._texts if key[: len(end)] == end]:
                self._end(key)
        while self._texts:
            key = next(iter(self._texts))
            if len(self._texts) <= CHANNELS_LIMIT and not self._is_over(self._texts[key]):
                break
            self._end(key)

    def _is_over(self, text: _Text) -> bool:
        events, pieces = self._events - text.fed_at[0], self._pieces - text.fed_at[1]
        return events > PATIENCE if text.channel.alone else events > LONG_PATIENCE or pieces > PATIENCE

    def _end(self, key: tuple[object, ...]) -> None:
        self._texts.pop(key).feed(b"", (), last=True)


class Waiting:
    """Holds events until they are final."""

    def __init__(self) -> None:
        self._events: deque[list[bytes | Piece]] = deque()
        self._size = 0

    def put(self, event: list[bytes | Piece]) -> None:
        """Adds an event."""
        self._events.append(event)
        self._size += _size(event)

    def take(self) -> bytes:
        """Returns the events that are final, up to the first that is not; raises Unmaskable if too much waits."""
        out: list[bytes] = []
        while self._events and all(isinstance(p, bytes) or p.text.tracker.final >= p.end for p in self._events[0]):
            event = self._events.popleft()
            self._size -= _size(event)
            out += [part if isinstance(part, bytes) else _rendered(part) for part in event]
        if self._size > WAITING_LIMIT:
            raise Unmaskable("too much of the stream waits for what could be a secret")
        return b"".join(out)


def _size(event: list[bytes | Piece]) -> int:
    return sum(len(part) if isinstance(part, bytes) else len(part.raw) for part in event)


def _rendered(piece: Piece) -> bytes:
    """Returns the raw bytes of a piece without its masked stretches; a token stands where its stretch begins."""
    text = piece.text
    while text.stretches and text.stretches[0].end <= piece.start:
        text.stretches.popleft()
    spans, tokens = [], []
    for stretch in text.stretches:
        if stretch.start >= piece.end:
            break
        spans.append((max(stretch.start - piece.start, 0), min(stretch.end, piece.end) - piece.start))
        tokens.append(stretch.token if stretch.start > text.named_to else b"")
        text.named_to = stretch.start
    quoted = _Quoted() if piece.is_json else text.quoted
    if quoted is not None:
        inside = quoted.places(piece.data, [start for start, _ in spans])
        tokens = [b'"%s"' % t if t and not i else t for t, i in zip(tokens, inside, strict=True)]
    if not spans:
        return piece.raw
    if piece.in_json:
        spans = raw_spans(piece.raw, spans)
        tokens = [encoded(token) for token in tokens]
    out = []
    at = 0
    for (low, high), token in zip(spans, tokens, strict=True):
        out += [piece.raw[at:low], token]
        at = high
    out.append(piece.raw[at:])
    return b"".join(out)

"""Masks a text/event-stream: the texts that its events tell in pieces, and all that is complete in each event.

In: bytes cut anywhere. Out: the same events in the same order, masked; what is not final waits with all after it.
"""

import json
from bisect import bisect_right

from penstock._core.mask.event_channels import Channels, Piece, Waiting
from penstock._core.mask.event_dialects import TEXT_CHANNEL, Plan, plan
from penstock._core.mask.event_frames import Frames, Line, lines
from penstock._core.mask.finder import Find, Finder
from penstock._core.mask.json_leaf import LeafMask
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.json_string import decoded
from penstock._core.mask.pointer import matcher
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["EventStream"]

_DONE = b"[DONE]"
_ALL: tuple[object, ...] = ()
_Part = tuple[int, int, bytes | Piece]


class EventStream:
    """Masks one event stream."""

    def __init__(self, finder: Finder, mint: Mint, pointers: frozenset[str]) -> None:
        self._finder = finder
        self._mint = mint
        self._named = matcher(pointers)
        self._leaves = LeafMask(finder, mint)
        self._frames = Frames()
        self._channels = Channels(finder, mint)
        self._waiting = Waiting()

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns the events that are final. Raises Unmaskable. last: nothing follows."""
        for event in self._frames.feed(data, last=last):
            self._take(event)
        if last:
            self._channels.after_event([_ALL])
        return self._waiting.take()

    def _take(self, event: bytes) -> None:
        """Takes one event apart, masks what is complete, and queues it."""
        found = lines(event)
        data_lines = [line for line in found if line.is_data]
        parts: list[_Part] = []
        for line in found:
            if not line.is_data and (masked := self._block(line.text)) is not line.text:
                parts.append((line.start, line.end, masked))
        ends = []
        if data_lines:
            data = b"\n".join([line.text for line in data_lines])
            if data.strip() == _DONE:
                ends = [_ALL]
            elif (about := self._json(data, data_lines, parts)) is not None:
                ends = list(about.ends)
            else:
                complete = any(
                    line.text.startswith(b"event:") and line.text[6:].strip() == b"endpoint" for line in found
                )
                self._plain(data_lines, parts, complete=complete)
        parts.sort(key=lambda part: part[0])
        event_parts: list[bytes | Piece] = []
        at = 0
        for start, end, part in parts:
            event_parts += [event[at:start], part]
            at = end
        event_parts.append(event[at:])
        self._waiting.put(event_parts)
        self._channels.after_event(ends)

    def _block(self, text: bytes) -> bytes:
        if not self._finder.occurs(text):
            return text
        masked = TextStream(self._finder, self._mint).feed(text, last=True)
        return text if masked == text else masked

    def _plain(self, data_lines: list[Line], parts: list[_Part], *, complete: bool) -> None:
        """Takes data that is not JSON: the next piece of one text."""
        for number, line in enumerate(data_lines):
            text = line.text if number == 0 else b"\n" + line.text
            if complete:
                parts.append((line.start, line.end, self._block(line.text)))
                continue
            piece = self._channels.piece(TEXT_CHANNEL, text, line.text, self._alone(text), in_json=False)
            piece.start = piece.end - len(line.text)
            parts.append((line.start, line.end, piece))

    def _alone(self, text: bytes) -> list[Find]:
        return self._finder.finds(text)

    def _json(self, data: bytes, data_lines: list[Line], parts: list[_Part]) -> Plan | None:
        """Takes data that is JSON; returns None if it is not."""
        if data[:1] not in (b"{", b"[", b'"'):
            return None
        try:
            about = plan(json.loads(data))
        except (ValueError, RecursionError):
            return None
        reader = JsonReader(self._named, paths=True)
        reader.buffer += data
        leaves = reader.read(last=True)
        if reader.broken:
            return None
        place = _Places(data_lines)
        complete = []
        for leaf in leaves:
            piece = self._piece(leaf, data, about)
            if piece is None:
                complete.append(leaf)
            else:
                parts.append((place.raw(leaf.start + 1), place.raw(leaf.end - 1), piece))
        for start, end, new in self._leaves.splices(data, complete):
            parts.append((place.raw(start), place.raw(end - 1) + 1, new))
        return about

    def _piece(self, leaf: Leaf, data: bytes, about: Plan) -> Piece | None:
        """Returns the piece of a channel that a leaf is, None if it is complete in itself."""
        if leaf.is_key or leaf.whole or data[leaf.start : leaf.start + 1] != b'"':
            return None
        channel = about.channel(tuple(part.decode("utf-8", "replace") for part in leaf.path))
        if channel is None:
            return None
        raw = data[leaf.start + 1 : leaf.end - 1]
        text = decoded(raw)
        also = self._leaves.finds(leaf, text) if channel.alone else []
        return self._channels.piece(channel, text, raw, also, in_json=True)


class _Places:
    """Finds where a byte of the data stands in the event."""

    def __init__(self, data_lines: list[Line]) -> None:
        self._begins, self._raw = [], []
        at = 0
        for line in data_lines:
            self._begins.append(at)
            self._raw.append(line.start)
            at += line.end - line.start + 1

    def raw(self, at: int) -> int:
        line = bisect_right(self._begins, at) - 1
        return self._raw[line] + at - self._begins[line]

"""Masks a text/event-stream: the texts that its events tell in pieces, and all that is complete in each event.

In: bytes cut anywhere. Out: the same events in the same order, masked; what is not final waits with all after it.
"""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, replace

from penstock._core.mask.event_channels import Channels, Piece, Waiting
from penstock._core.mask.event_dialects import TEXT_CHANNEL, Channel, Plan, plan
from penstock._core.mask.event_frames import Frames, Line, lines
from penstock._core.mask.finder import Finder
from penstock._core.mask.json_leaf import LeafMask, is_container
from penstock._core.mask.json_reader import JsonReader, Leaf
from penstock._core.mask.json_string import decoded
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import Named
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream

__all__ = ["EventStream", "Events"]

_DONE = b"[DONE]"
_COMPLETE = ([b"event", b" endpoint"], [b"event", b"endpoint"])
"""The name of the first event of MCP's older transport: its clients wait for it, so that it must not be held."""
_ALL: tuple[object, ...] = ()
_INSIDE = re.compile(rb'[^"\\\r\n]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\r\n]*+)*+')
_TEMPLATES = 4
_LONG_INTEGER = 20
_QUOTE = 0x22
_Part = tuple[int, int, bytes | Piece]


@dataclass(frozen=True, slots=True)
class _Template:
    """Holds an event in which nothing was found and only one string is a piece of a text: the next ones are alike."""

    before: bytes
    after: bytes
    channel: Channel
    leaf: Leaf


class Events:
    """Masks events one by one; their lines come from EventStream, or from the lines of NDJSON."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None) -> None:
        self._finder = finder
        self._mint = mint
        self._named = named
        self._leaves = LeafMask(finder, mint)
        self._channels = Channels(finder, mint)
        self._waiting = Waiting()
        self._templates: list[_Template] = []

    def final(self, *, last: bool = False) -> bytes:
        """Returns what can go out; with `last`, all of it. Raises Unmaskable."""
        if last:
            self._channels.after_event([_ALL])
        return self._waiting.take()

    def take_alike(self, event: bytes) -> bool:
        """Takes an event that differs from one before only in its piece of a text; returns False if it is not one."""
        for template in self._templates:
            start, end = len(template.before), len(event) - len(template.after)
            if start <= end and event.startswith(template.before) and event.endswith(template.after):
                raw = event[start:end]
                if _INSIDE.fullmatch(raw):
                    piece = self._piece(template.channel, template.leaf, raw)
                    self._waiting.put([template.before, piece, template.after])
                    self._channels.after_event(())
                    return True
        return False

    def take(self, event: bytes, found: list[Line], *, complete: bool = False) -> None:
        """Takes any event apart, masks what is complete, and queues it. complete: its data is not part of a text."""
        data_lines = [line for line in found if line.is_data]
        others = [(line, self._block(line.text)) for line in found if not line.is_data]
        parts: list[_Part] = [(line.start, line.end, masked) for line, masked in others if masked != line.text]
        complete = complete or any(line.text.split(b":", 1) in _COMPLETE for line, _ in others)
        ends = self._data(event, data_lines, parts, complete=complete) if data_lines else ()
        parts.sort(key=lambda part: part[0])
        event_parts: list[bytes | Piece] = []
        at = 0
        for start, end, part in parts:
            event_parts += [event[at:start], part]
            at = end
        event_parts.append(event[at:])
        self._waiting.put(event_parts)
        self._channels.after_event(ends)

    def _data(
        self, event: bytes, data_lines: list[Line], parts: list[_Part], *, complete: bool
    ) -> list[tuple[object, ...]]:
        """Takes the data of an event; returns what it ends."""
        data = data_lines[0].text if len(data_lines) == 1 else b"\n".join([line.text for line in data_lines])
        if data.strip() == _DONE:
            return [_ALL]
        about = self._json(event, data, data_lines, parts)
        if about is not None:
            return list(about.ends)
        for number, line in enumerate(data_lines):
            if complete:
                parts.append((line.start, line.end, self._block(line.text)))
                continue
            text = line.text if number == 0 else b"\n" + line.text
            alone = self._finder.look(text)[0]
            piece = self._channels.piece(TEXT_CHANNEL, text, line.text, alone, in_json=False)
            piece.start = piece.end - len(line.text)
            parts.append((line.start, line.end, piece))
        return []

    def _json(self, event: bytes, data: bytes, data_lines: list[Line], parts: list[_Part]) -> Plan | None:
        """Takes data that is JSON; returns None if it is not. Raises Unmaskable."""
        if data.lstrip()[:1] not in (b"{", b"[", b'"'):
            return None
        reader = JsonReader(self._named, paths=True)
        reader.buffer += data
        leaves = reader.read(last=True)
        if reader.broken or (b"\n" in data and any(b"\n" in data[leaf.start : leaf.end] for leaf in leaves)):
            if self._named is not None and data.lstrip()[:1] != b'"':
                raise Unmaskable("an event is not JSON, so what the JSON pointers name cannot be found")
            return None
        try:
            about = plan(json.loads(data.decode("utf-8", "replace"), strict=False, parse_int=_integer))
        except RecursionError:
            raise Unmaskable("an event is nested too deep to be masked") from None
        except ValueError:
            return None
        place = _Places(data_lines)
        told, complete = _parted(about, leaves, data)
        template = None
        for leaf, channel in told:
            start, end = place.raw(leaf.start + 1), place.raw(leaf.end - 1)
            template = _Template(event[:start], event[end:], channel, leaf)
            parts.append((start, end, self._piece(channel, leaf, data[leaf.start + 1 : leaf.end - 1])))
        for start, end, new in self._leaves.splices(data, complete):
            parts.append((place.raw(start), place.raw(end - 1) + 1, new))
        if template is not None and len(parts) == 1 and not about.ends:
            self._templates = [template, *self._templates[: _TEMPLATES - 1]]
        return about

    def _piece(self, channel: Channel, leaf: Leaf, raw: bytes) -> Piece:
        text = decoded(raw)
        alone = self._leaves.finds(leaf, text) if channel.alone else ()
        piece = self._channels.piece(channel, text, raw, alone, in_json=True)
        piece.is_json = channel.alone and is_container(text)
        return piece

    def _block(self, text: bytes) -> bytes:
        return TextStream(self._finder, self._mint).feed(text, last=True) if self._finder.occurs(text) else text


class EventStream:
    """Masks one event stream."""

    def __init__(self, finder: Finder, mint: Mint, named: Named | None) -> None:
        self._frames = Frames()
        self._events = Events(finder, mint, named)

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Takes the next bytes; returns the events that are final. Raises Unmaskable. last: nothing follows."""
        events = self._events
        for event in self._frames.feed(data, last=last):
            if not events.take_alike(event):
                events.take(event, lines(event))
        return events.final(last=last)


def _integer(digits: str) -> int:
    """Returns an integer; 0 for one that Python would refuse to read: only small ones say anything here."""
    return int(digits) if len(digits) < _LONG_INTEGER else 0


def _parted(about: Plan, leaves: list[Leaf], data: bytes) -> tuple[list[tuple[Leaf, Channel]], list[Leaf]]:
    """Returns the leaves that continue a channel with it, and those that are complete in themselves.

    Of strings with the same path, in an object with a key twice, readers take the last: it is the piece of the channel.
    """
    told, complete = [], []
    seen: dict[tuple[bytes, ...], int] = {}
    for leaf in reversed(leaves):
        is_string = not leaf.is_key and not leaf.whole and data[leaf.start] == _QUOTE
        channel = about.channel(tuple(part.decode("utf-8", "replace") for part in leaf.path)) if is_string else None
        if channel is None:
            complete.append(leaf)
            continue
        before = seen[leaf.path] = seen.get(leaf.path, -1) + 1
        told.append((leaf, replace(channel, key=("before", before, *channel.key)) if before else channel))
    return told[::-1], complete[::-1]


class _Places:
    """Finds where a byte of the data stands in the event."""

    def __init__(self, data_lines: list[Line]) -> None:
        self._begins: list[int] = []
        self._raw: list[int] = []
        at = 0
        for line in data_lines:
            self._begins.append(at)
            self._raw.append(line.start)
            at += line.end - line.start + 1

    def raw(self, at: int) -> int:
        line = bisect_right(self._begins, at) - 1
        return self._raw[line] + at - self._begins[line]

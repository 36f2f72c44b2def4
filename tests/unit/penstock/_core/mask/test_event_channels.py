"""Texts told in pieces, and the events that wait for them."""

import json

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.mask.event_channels import CHANNELS_LIMIT, WAITING_LIMIT, Channels, Piece, Waiting
from penstock._core.mask.event_dialects import Channel
from penstock._core.mask.finder import Finder
from penstock._core.mask.token import Mint
from unit.penstock._core.mask.mask_samples import KEY, KNOWN, SECRET, TEXT, split, token

A, B = Channel(("a",)), Channel(("b", 1))
TOKEN = token("db", SECRET).encode()


class Room:
    """Holds channels and a queue, as a stream of events has them."""

    def __init__(self) -> None:
        self.channels = Channels(Finder([KNOWN], frozenset()), Mint(KEY))
        self.waiting = Waiting()

    def tell(self, channel: Channel, text: str, *, in_json: bool = False) -> bytes:
        """Tells one piece as an event of its own; returns what can go out."""
        self.waiting.put([b"<", self.piece(channel, text, in_json=in_json), b">"])
        self.channels.after_event(())
        return self.waiting.take()

    def piece(self, channel: Channel, text: str, *, in_json: bool = False) -> Piece:
        """Feeds a piece."""
        raw = json.dumps(text)[1:-1].encode() if in_json else text.encode()
        return self.channels.piece(channel, text.encode(), raw, (), in_json=in_json)

    def end(self, *keys: tuple[object, ...]) -> bytes:
        """Ends channels; returns what can go out."""
        self.channels.after_event(keys)
        return self.waiting.take()


def test_a_token_stands_in_the_event_in_which_its_stretch_begins() -> None:
    """The others lose their part of it; no event is lost or joined to another."""
    room = Room()
    assert room.tell(A, "x" + TEXT[:3]) == b""
    assert room.tell(A, TEXT[3:9]) == b""
    assert room.tell(A, TEXT[9:] + "y") == b"<x" + TOKEN + b"><><y>"


def test_two_secrets_in_one_piece_keep_their_places() -> None:
    """And what is between them."""
    room = Room()
    assert room.tell(A, f"{TEXT}, {TEXT}{TEXT}") + room.end(()) == b"<%s, %s%s>" % (TOKEN, TOKEN, TOKEN)


def test_events_wait_in_their_order() -> None:
    """An event without text, or with another text, does not overtake."""
    room = Room()
    assert room.tell(A, TEXT[:5]) == b""
    assert room.tell(B, "other") == b""
    room.waiting.put([b"ping"])
    assert room.waiting.take() == b""
    assert room.tell(A, "!") == b"<" + SECRET[:5] + b"><other>ping<!>"


def test_only_the_named_texts_end() -> None:
    """By the beginning of their keys."""
    room = Room()
    assert room.tell(A, TEXT[:5]) == b""
    assert room.end(("b",), ("a", 1)) == b""
    assert room.end(("a",)) == b"<" + SECRET[:5] + b">"
    assert room.tell(A, TEXT[5:]) == b"<" + SECRET[5:] + b">"


def test_a_text_with_escapes_is_edited_between_them() -> None:
    """Raw bytes beside the secret stay as they were written."""
    room = Room()
    out = room.tell(A, f'"é\n{TEXT[:4]}', in_json=True) + room.tell(A, f'{TEXT[4:]}\t"', in_json=True)
    assert out == b'<\\"\\u00e9\\n' + TOKEN + b'><\\t\\">'


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_token_outside_of_strings_is_quoted(size: int) -> None:
    """In a text that is JSON: after any escapes, however they are cut."""
    room = Room()
    channel = Channel(("a",), is_json=True)
    text = '{"a\\\\": "\\"", "b": [' + TEXT + ', "' + TEXT + '", "\\\\\\"", ' + TEXT + "]}"
    out = b"".join(room.tell(channel, part) for part in split(text, size)) + room.end(())
    masked = out.replace(b"<", b"").replace(b">", b"")
    assert json.loads(masked) == {"a\\": '"', "b": [TOKEN.decode(), TOKEN.decode(), '\\"', TOKEN.decode()]}


def test_signed_text_raises_before_anything_is_taken() -> None:
    """And so it does when its channel ends."""
    room = Room()
    signed = Channel(("s",), known_only=True, signed=True)
    assert room.tell(signed, TEXT[:-1]) == b""
    with pytest.raises(Unmaskable, match="signed"):
        room.tell(signed, TEXT[-1:])


def test_what_waits_is_bounded() -> None:
    """Raised is an error, and nothing is released."""
    room = Room()
    assert room.tell(A, TEXT[:5]) == b""
    room.waiting.put([b"x" * WAITING_LIMIT])
    with pytest.raises(Unmaskable):
        room.waiting.take()


def test_texts_at_the_same_time_are_bounded() -> None:
    """Beyond the bound the text that was quiet for longest is over, and its event goes out."""
    room = Room()
    assert room.tell(A, TEXT[:5]) == b""
    out = b""
    pieces = [room.piece(Channel(("c", at)), "c") for at in range(CHANNELS_LIMIT)]
    assert len(pieces) == CHANNELS_LIMIT
    out += room.end()
    assert out == b"<" + SECRET[:5] + b">"


def test_a_piece_keeps_its_text_out_of_its_repr() -> None:
    """It may hold a secret."""
    assert TEXT not in repr(Room().piece(A, TEXT))

"""The framing of event streams."""

import itertools

import pytest

from penstock._core.mask import Unmaskable
from penstock._core.mask.event_frames import EVENT_LIMIT, Frames, Line, lines


def _events(*chunks: bytes) -> list[bytes]:
    frames = Frames()
    found = [event for chunk in chunks for event in frames.feed(chunk)]
    return found + frames.feed(b"", last=True)


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_a_blank_line_ends_an_event(newline: bytes) -> None:
    """Whatever ends lines; the bytes stay as they are."""
    stream = newline.join([b"id: 1", b"data: a", b"", b": ping", b"", b"data: b", b"data: c", b"", b""])
    found = _events(stream)
    assert b"".join(found) == stream
    assert [event.split() for event in found] == [
        [b"id:", b"1", b"data:", b"a"],
        [b":", b"ping"],
        [b"data:", b"b", b"data:", b"c"],
    ]


@pytest.mark.parametrize("newlines", list(itertools.product([b"\n", b"\r", b"\r\n"], repeat=2)))
def test_line_ends_may_be_mixed(newlines: tuple[bytes, bytes]) -> None:
    """Two line ends of any kinds are a blank line, except CR and LF, which are one."""
    first, second = newlines
    found = _events(b"data: a" + first + second + b"data: b")
    if (first, second) == (b"\r", b"\n"):
        assert found == [b"data: a\r\ndata: b"]
    else:
        assert found == [b"data: a" + first + second, b"data: b"]


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_no_cut_changes_the_lines_of_an_event(newline: bytes) -> None:
    """A cut between CR and LF may move the LF to the next event; its lines are the same."""
    stream = newline.join([b"\xef\xbb\xbfdata: a", b"event: x", b"", b"", b"data: b", b"", b"data", b""])
    expected = [[line.text for line in lines(event)] for event in _events(stream)]
    for at in range(len(stream) + 1):
        found = _events(stream[:at], stream[at:])
        assert b"".join(found) == stream
        told = [[line.text for line in lines(event)] for event in found]
        assert [event for event in told if event] == [event for event in expected if event], at
    found = _events(*[stream[at : at + 1] for at in range(len(stream))])
    assert b"".join(found) == stream


def test_events_are_told_as_soon_as_they_are_complete() -> None:
    """Nothing waits for the event after."""
    frames = Frames()
    assert frames.feed(b"data: a\n") == []
    assert frames.feed(b"\nda") == [b"data: a\n\n"]
    assert frames.feed(b"ta: b\n\n") == [b"data: b\n\n"]
    assert frames.feed(b"", last=True) == []


def test_an_event_without_end_is_refused() -> None:
    """Held are at most EVENT_LIMIT bytes and one piece, be it one line or many."""
    for piece in (b"x" * 65536, (b"data: " + b"x" * 57 + b"\n") * 1024):
        frames = Frames()
        fed = 0
        with pytest.raises(Unmaskable, match="event"):
            while fed < 2 * EVENT_LIMIT:
                assert frames.feed(piece) == []
                fed += len(piece)
        assert fed <= EVENT_LIMIT


def test_lines_are_told_with_their_places() -> None:
    """Of a data line the value without one blank after the colon, of any other line all of it; a first BOM is none."""
    event = b"\xef\xbb\xbfdata:a\r\ndata:  b\nid: 1\r: c\ndata\ndatax: d\ndata:\n\n"
    found = lines(event)
    assert [(line.is_data, line.text) for line in found] == [
        (True, b"a"),
        (True, b" b"),
        (False, b"id: 1"),
        (False, b": c"),
        (False, b"data"),
        (False, b"datax: d"),
        (True, b""),
    ]
    assert all(event[line.start : line.end] == line.text for line in found)


def test_a_lines_text_stays_out_of_its_repr() -> None:
    """It may hold a secret."""
    assert "secret" not in repr(Line(True, 0, 6, b"secret"))

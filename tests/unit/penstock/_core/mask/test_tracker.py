"""One channel of text as it arrives: how far it is final, stretches and their names, endless secrets, memory."""

from random import Random

import pytest

from penstock._core.mask.find import OPEN_LIMIT, Find
from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import HELD_LIMIT, Stretch, TextStream, Tracker
from penstock._core.verdict import KnownValue

KEY = b"key"
BEGIN, END = b"-----BEGIN " + b"PRIVATE KEY-----", b"-----END " + b"PRIVATE KEY-----"
JWT = b"eyJ" + b"hbGciOiJIUzI1NiJ9.eyJ" + b"zdWIiOiIxMjM0In0.c2lnbmF0dXJl"
SECRET = b"q8Wz2" + b"Tt9kLm4"
KNOWN = (
    KnownValue("db", SECRET),
    KnownValue("outer", b"outer-inner-outer"),
    KnownValue("inner", b"er-inner-"),
    KnownValue("next", b"-outer-then-next"),
)
FINDER = Finder(KNOWN, frozenset({"secrets"}))
RUN = Finder((KnownValue("run", b"zzzzzzzz"),), frozenset())


def token(kind: str, value: bytes) -> bytes:
    """Returns the token that stands for a value."""
    return Mint(KEY).token(kind, value)


def masked(text: bytes, size: int = 0, finder: Finder = FINDER, counts: dict[str, int] | None = None) -> bytes:
    """Returns the text, masked, fed in pieces of a size; counts: takes what was counted."""
    mint = Mint(KEY)
    stream = TextStream(finder, mint)
    parts = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    out = b"".join([stream.feed(part) for part in parts] + [stream.feed(b"", last=True)])
    if counts is not None:
        counts.update(mint.counts)
    return out


def test_text_is_final_as_soon_as_nothing_can_cover_it() -> None:
    """A stretch is told when it cannot change any more; places count from the channel's begin."""
    tracker = Tracker(FINDER, Mint(KEY))
    assert tracker.feed(b"text. " + SECRET[:5]) == []
    assert (tracker.final, tracker.fed) == (6, 11)
    assert tracker.feed(SECRET[5:] + b". ") == [Stretch(6, 18, token("db", SECRET))]
    assert tracker.final == tracker.fed == 20
    assert tracker.feed(b"", last=True) == []
    assert tracker.feed(b"more. ", last=True) == []
    assert tracker.final == 26


def test_an_empty_channel_has_nothing() -> None:
    """No text, no stretch, fed once or often."""
    tracker = Tracker(FINDER, Mint(KEY))
    assert [tracker.feed(b""), tracker.feed(b""), tracker.feed(b"", last=True)] == [[], [], []]
    assert (tracker.final, tracker.fed) == (0, 0)


@pytest.mark.parametrize("size", [0, 1, 3, 8])
def test_a_value_in_another_is_masked_with_it_and_one_token(size: int) -> None:
    """The outer one, which begins first, gives the name."""
    assert masked(b"<outer-inner-outer>", size) == b"<" + token("outer", b"outer-inner-outer") + b">"


@pytest.mark.parametrize("size", [0, 1, 3, 8])
def test_values_that_overlap_are_one_stretch(size: int) -> None:
    """Both are covered whole, under the name of the first; values that only touch are two."""
    counts: dict[str, int] = {}
    overlapping = masked(b"<outer-inner-outer-then-next>", size, counts=counts)
    assert overlapping == b"<" + token("outer", b"outer-inner-outer") + b">"
    assert counts == {"outer": 1}
    assert masked(SECRET + SECRET, size) == token("db", SECRET) * 2


@pytest.mark.parametrize("size", [0, 1, 8])
def test_a_known_value_names_what_a_detector_finds_around_it(size: int) -> None:
    """A guess that covers a known value is told by the known name; the guess is masked whole."""
    assert masked(b"password=x1" + SECRET + b"22 ", size) == b"password=" + token("db", SECRET) + b" "


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_value_has_one_token_in_all_of_its_spellings(size: int) -> None:
    """An agent can tell that they are the same secret."""
    text = SECRET + b" " + SECRET.hex().encode() + b" " + SECRET.hex().upper().encode()
    assert masked(text, size) == b" ".join([token("db", SECRET)] * 3)


@pytest.mark.parametrize("size", [1, 100, 4096, 16_384, 100_000])
@pytest.mark.parametrize("body", [100, OPEN_LIMIT - 40, OPEN_LIMIT, 2 * OPEN_LIMIT + 17])
def test_an_endless_secret_is_one_stretch_to_its_end(body: int, size: int) -> None:
    """However long it is and however it comes: one token, named by the first bytes, and the text behind it is clear."""
    if size == 1 and body > OPEN_LIMIT:
        size = 61
    counts: dict[str, int] = {}
    key = BEGIN + b"\n" + b"MIIB" * (body // 4) + b"\n" + END
    expected = token("private-key", key[:OPEN_LIMIT])
    assert masked(b"a " + key + b" b", size, counts=counts) == b"a " + expected + b" b"
    assert counts == {"private-key": 1}


@pytest.mark.parametrize("size", [0, 50, 1000, 5000])
def test_endless_secrets_in_a_row_are_each_closed(size: int) -> None:
    """Two keys, two tokens of another kind, and one that runs on: the text between is clear."""
    one, two = (BEGIN + b"\n" + letter * 20_000 + END for letter in (b"A", b"B"))
    text = one + b"\n, " + two + b"\n" + JWT + b" " + JWT + b"."
    keys = [token("private-key", key[:OPEN_LIMIT]) for key in (one, two)]
    assert masked(text, size).startswith(keys[0] + b"\n, " + keys[1] + b"\n" + token("jwt", JWT) + b" ")


@pytest.mark.parametrize("size", [0, 50, 1000, 5000])
@pytest.mark.parametrize(
    "end", [b"", b"-----END PRIVATE", b"-----END PUBLIC KEY-----", b"-----END PRIVATE KEY----", b"\n" + JWT + b" text"]
)
def test_an_endless_secret_without_its_end_stays_masked(end: bytes, size: int) -> None:
    """Open without close, a malformed end, the cap: all that follows is masked, at the end of the channel, too."""
    key = BEGIN + b"\n" + b"A" * (OPEN_LIMIT + 3000) + end + b" and more text. " * 200
    assert masked(b"a " + key, size) == b"a " + token("private-key", key[:OPEN_LIMIT])
    short = BEGIN + b"\nAAAA" + end + b" and more"
    assert masked(b"a " + short, size) == b"a " + token("private-key", short)


def test_an_open_secret_lets_nothing_out_and_keeps_little() -> None:
    """Past the cap what comes is masked at once: memory does not grow with the secret."""
    tracker = Tracker(FINDER, Mint(KEY))
    tracker.feed(BEGIN)
    for _ in range(200):
        stretches = tracker.feed(b"A" * 5000)
        assert all(stretch.start < stretch.end <= tracker.final for stretch in stretches)
        assert tracker.fed - tracker.final <= OPEN_LIMIT + 5000
    size = tracker.fed + len(END)
    stretches = tracker.feed(END) + tracker.feed(b" clear text. ")
    assert {stretch.token for stretch in stretches} == {b""}
    assert stretches[-1].end == size
    assert tracker.final == tracker.fed


@pytest.mark.parametrize("joint", [b"", b"\n", b"-", b"-----"])
def test_keys_that_share_dashes_are_masked_alike_for_every_cut(joint: bytes) -> None:
    """Where an end and the next begin run into each other, the cut decides nothing."""
    text = BEGIN + b"A" * (OPEN_LIMIT + 500) + END[:-5] + joint + BEGIN + b"tail of the second"
    whole = masked(text)
    random = Random(5)
    assert {masked(text, size) for size in (37, 997, random.randint(2, 9000), len(text) - 30)} == {whole}
    assert b"tail" not in whole


def test_what_was_found_otherwise_is_masked_with_the_rest() -> None:
    """Finds of a decoder count in bytes of their piece and join the stretches that overlap."""
    tracker = Tracker(FINDER, Mint(KEY))
    tracker.feed(b"first. ")
    also = [Find(2, 6, 2, 6, "email", b"decoded")]
    assert tracker.feed(b"a encd b ", also=also) == [Stretch(9, 13, token("email", b"decoded"))]
    assert tracker.feed(b"", last=True) == []


def test_a_find_given_for_a_piece_is_held_with_what_it_overlaps() -> None:
    """It waits for a known value that could begin in it, and takes its name."""
    tracker = Tracker(FINDER, Mint(KEY))
    assert tracker.feed(b"text " + SECRET[:6], also=[Find(2, 8, 2, 8, "email", b"decoded")]) == []
    assert tracker.final == 2
    assert tracker.feed(SECRET[6:] + b" .") == [Stretch(2, 17, token("db", SECRET))]


@pytest.mark.parametrize("size", [HELD_LIMIT // 2, HELD_LIMIT + 1])
def test_a_run_without_end_is_refused(size: int) -> None:
    """What would have to be held without bound is refused, and the reason shows nothing."""
    stream = TextStream(RUN, Mint(KEY))
    with pytest.raises(Unmaskable, match="no end") as raised:
        for _ in range(4):
            assert stream.feed(b"z" * size) == b""
    assert "zz" not in repr(raised.value)


def test_a_long_run_that_ends_is_one_stretch() -> None:
    """Overlapping finds chain up, under the bound."""
    run = b"z" * 5000
    assert masked(b"a" + run + b"b", 1000, RUN) == b"a" + token("run", b"zzzzzzzz") + b"b"


def test_no_object_shows_what_it_holds() -> None:
    """Not while a secret is held, nor after: repr() and str() of trackers, streams and stretches."""
    tracker, stream = Tracker(FINDER, Mint(KEY)), TextStream(FINDER, Mint(KEY))
    stretches = tracker.feed(b"a " + SECRET + b" " + SECRET[:6])
    stream.feed(b"a " + SECRET[:6])
    shown = "".join(map(str, [tracker, stream, stretches])) + "".join(map(repr, [tracker, stream, stretches]))
    assert SECRET[:6].decode() not in shown
    assert len(stretches) == 1
    assert SECRET.decode() not in str(vars(FINDER))

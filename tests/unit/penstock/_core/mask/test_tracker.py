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


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("spelled", [SECRET, SECRET.hex().encode()])
def test_a_known_value_that_the_end_cuts_off_is_masked(spelled: bytes, size: int) -> None:
    """From 8 bytes on: an upstream that closes early would else have told all of it but one character."""
    for length in range(1, len(spelled)):
        counts: dict[str, int] = {}
        begun = spelled[:length]
        is_masked = length >= 8
        expected = b"text " + (token("db", SECRET) if is_masked else begun)
        assert masked(b"text " + begun, size, counts=counts) == expected
        assert counts == ({"db": 1} if is_masked else {})
        assert masked(b"text " + begun + b" goes on.", size) == b"text " + begun + b" goes on."


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


class Counting:
    """Finds as another finder does, and counts the bytes that it is shown and the finds that it tells."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self.shown = self.told = 0

    def look(self, text: bytes, begin: int = 0, *, last: bool = True) -> tuple[list[Find], int]:
        """Returns what the other finds."""
        found, live = self._finder.look(text, begin, last=last)
        self.shown += len(text)
        self.told += len(found)
        return found, live

    def cut_off(self, text: bytes, begin: int = 0) -> list[Find]:
        """Returns what the other finds."""
        return self._finder.cut_off(text, begin)


REPEATED = [
    (BEGIN + b"\n", 64),
    (b"eyJ" + b"aaaaaaaaaa.", 64),
    (b"password=", 256),
    (b"4111 ", 256),
    (b"AT61 1904 ", 256),
    (b"zzzzzzzz", 64),
    (BEGIN + b"password=" + END, 64),
]


@pytest.mark.parametrize(("part", "size"), REPEATED)
def test_work_grows_with_the_text_however_it_is_cut(part: bytes, size: int) -> None:
    """Text that always may be about to become a secret is looked through a bounded number of times."""
    text = part * (60_000 // len(part))
    counting = Counting(Finder((KnownValue("run", b"zzzzzzzz"),), frozenset({"all"})))
    masked(text, size, counting)  # type: ignore[arg-type] # it has what a tracker needs
    assert counting.shown <= 16 * len(text)
    assert counting.told <= 6 * len(text)


@pytest.mark.parametrize("end", [b"", END, b" "])
@pytest.mark.parametrize("part", [BEGIN + b"\n", b"eyJ" + b"aaaaaaaaaa."])
def test_many_beginnings_of_one_endless_secret_are_a_few_finds(part: bytes, end: bytes) -> None:
    """They all end where the first does: to follow each of them there would take forever."""
    counting = Counting(FINDER)
    masked(part * 8192 + end, finder=counting)  # type: ignore[arg-type] # it has what a tracker needs
    assert counting.told <= 64


@pytest.mark.parametrize("part", [b"4111 ", b"password=", b"sk-loading-spinner-with-a-very-long-class-name ", b"z"])
def test_a_run_without_end_is_not_refused(part: bytes) -> None:
    """Finds that overlap without end are settled one by one; those that a check refuses hold nothing."""
    finder = Finder((KnownValue("run", b"zzzzzzzz"),), frozenset({"all"}))
    text = part * (HELD_LIMIT // len(part) + 5000)
    stream = TextStream(finder, Mint(KEY))
    out = b"".join([stream.feed(text[at : at + 16_384]) for at in range(0, len(text), 16_384)])
    assert stream._tracker.fed - stream._tracker.final < 1024  # what is held
    assert out + stream.feed(b"", last=True) == masked(text, finder=finder)
    if part in (b"4111 ", b"sk-loading-spinner-with-a-very-long-class-name "):
        assert masked(text, finder=finder) == text


@pytest.mark.parametrize("size", [5000, 61])
def test_a_long_endless_secret_is_masked_alike_however_it_is_cut(size: int) -> None:
    """A body that is far longer than what may be held."""
    text = b"a " + BEGIN + b"\n" + b"A" * 300_000 + END
    assert masked(text, size) == masked(text) == b"a " + token("private-key", text[2 : 2 + OPEN_LIMIT])


@pytest.mark.parametrize("tail", [b" tail", b"", b"-"])
def test_the_longest_end_that_shares_dashes_with_a_begin_is_found_for_every_cut(tail: bytes) -> None:
    """The begin of a second key hides the end of the first one: it goes on."""
    names = b"ABCDEFGHIJKL " * 3
    key = b"PRIVATE KEY BLOCK-----"
    text = BEGIN + b"A" * 17_000 + b"-----BEGIN " + names + key + b"END " + names + key + tail
    assert {masked_in_two(text, cut) for cut in range(len(text) - 200, len(text))} == {masked(text)}
    assert masked(text) == token("private-key", text[:OPEN_LIMIT])


def masked_in_two(text: bytes, cut: int) -> bytes:
    """Returns the text, masked, fed in two pieces."""
    stream = TextStream(FINDER, Mint(KEY))
    return stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.feed(b"", last=True)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_what_reaches_over_the_end_of_an_endless_secret_is_masked_to_its_own_end(size: int) -> None:
    """The longer of both decides."""
    known = KnownValue("over", b"KEY-----and-more")
    text = b"a " + BEGIN + b"AAAA" * 5000 + END + b"and-more b"
    out = masked(text, size, Finder((known,), frozenset({"private-key"})))
    assert out == b"a " + token("private-key", text[2 : 2 + OPEN_LIMIT]) + b" b"


def test_a_known_value_that_is_too_long_to_be_held_is_refused() -> None:
    """What may become one is held whole; the reason shows nothing."""
    value = bytes(range(97, 123)) * (HELD_LIMIT // 13)
    stream = TextStream(Finder((KnownValue("long", value),), frozenset()), Mint(KEY))
    with pytest.raises(Unmaskable, match="too long") as raised:
        for at in range(0, len(value), 4096):
            stream.feed(value[at : at + 4096])
    assert "abc" not in repr(raised.value)


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
    assert SECRET.decode() not in str([getattr(FINDER, name) for name in dir(FINDER)])

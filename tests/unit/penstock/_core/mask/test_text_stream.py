"""Forms masked field by field, and maskers behind each other."""

import pytest

from penstock._core.mask.finder import Finder
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.text_stream import FIELD_LIMIT, Checked, FormStream, Piped, ProseStream
from penstock._core.mask.token import Mint
from penstock._core.mask.tracker import TextStream
from penstock._core.verdict import KnownValue

KEY = b"key"
SECRET = b"q8/z2+Tt" + b"9kLm4=="
FINDER = Finder((KnownValue("db", SECRET),), frozenset({"email", "assigned-secret"}))
ADDRESS = b"ada.byron" + b"@example.org"
DB, EMAIL = Mint(KEY).token("db", SECRET), Mint(KEY).token("email", ADDRESS)


def form(data: bytes, size: int = 0) -> bytes:
    """Returns a form, masked, fed in pieces of a size."""
    stream = FormStream(FINDER, Mint(KEY))
    parts = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return b"".join([stream.feed(part) for part in parts] + [stream.feed(b"", last=True)])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a=1&mail=ada.byron%40example.org&b=2", b"a=1&mail=%b&b=2" % EMAIL),
        (b"mail=" + ADDRESS, b"mail=" + EMAIL),
        (b"mail=%61%64%61.byron%40example%2Eorg", b"mail=" + EMAIL),
        (b"k=q8%2Fz2%2BTt9kLm4%3D%3D&k=q8%2fz2%2bTt9kLm4%3d%3d", b"k=%b&k=%b" % (DB, DB)),
        (b"text=write+to+ada.byron%40example.org+soon", b"text=write+to+%b+soon" % EMAIL),
        (b"", b""),
        (b"&&=&a&%&b=%4", b"&&=&a&%&b=%4"),
        (b"a=1&b=2&", b"a=1&b=2&"),
    ],
)
def test_fields_are_masked_however_they_are_encoded_and_cut(before: bytes, after: bytes, size: int) -> None:
    """Only the secret is replaced; everything else goes out as it came."""
    assert form(before, size) == after


@pytest.mark.parametrize("size", [0, 1, 5])
def test_one_secret_field_does_not_hide_the_next(size: int) -> None:
    """An unencoded field whose mask reaches to the next one's name leaves no value in the clear."""
    value = b"Zz9Yy8Xx" + b"7Ww6Vv5U"
    masked = form(b"user=u&password=hunter2hunter2&client_secret=" + value + b"&last=1", size)
    assert b"hunter2" not in masked
    assert value not in masked
    assert masked.startswith(b"user=u&password=")


def test_a_field_is_let_out_when_it_ends() -> None:
    """A stream of fields is not held to its end."""
    stream = FormStream(FINDER, Mint(KEY))
    assert stream.feed(b"first=one&second=two.\n&thi").startswith(b"first=one&")


def test_a_field_that_is_too_long_is_refused() -> None:
    """It would have to be decoded whole; the reason shows nothing of it."""
    stream = FormStream(FINDER, Mint(KEY))
    assert stream.feed(b"x" * FIELD_LIMIT) == b""
    with pytest.raises(Unmaskable, match="too long") as raised:
        stream.feed(SECRET)
    assert SECRET.decode() not in repr(raised.value) + str(raised.value)


def test_many_short_fields_are_no_long_one() -> None:
    """The limit is for one field, not for the form."""
    data = b"a=1&" * (FIELD_LIMIT // 4 + 10)
    stream = TextStream(Finder((), frozenset()), Mint(KEY))
    assert stream.feed(data, last=True) == data
    assert form(b"a=1&" * 2000 + b"x" * 20) == b"a=1&" * 2000 + b"x" * 20


def test_piped_streams_see_what_the_first_lets_out() -> None:
    """The second masks the first one's output, and both are told of the end."""
    mints = Mint(KEY), Mint(KEY)
    first = TextStream(Finder((), frozenset({"email"})), mints[0])
    piped = Piped(first, TextStream(FINDER.known, mints[1]))
    text = b"to " + ADDRESS + b" with " + SECRET
    out = b"".join(piped.feed(text[at : at + 1]) for at in range(len(text))) + piped.feed(b"", last=True)
    assert out == b"to %b with %b" % (EMAIL, DB)
    assert [mint.counts for mint in mints] == [{"email": 1}, {"db": 1}]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_known_value_that_is_left_is_refused_before_any_of_it_goes_out(size: int) -> None:
    """What cannot be replaced must not pass; what may become it waits."""
    checked = Checked(TextStream(Finder((), frozenset()), Mint(KEY)), FINDER)
    text = b"some text, then " + SECRET + b" and more"
    out = b""
    with pytest.raises(Unmaskable, match="known value") as raised:
        for at in range(0, len(text), size):
            out += checked.feed(text[at : at + size])
    assert SECRET[:1] not in out.removeprefix(b"some text, then ")
    assert SECRET.decode() not in repr(raised.value)


def test_what_holds_no_known_value_passes_a_check_unchanged() -> None:
    """Detectors do not count there."""
    checked = Checked(TextStream(Finder((), frozenset()), Mint(KEY)), FINDER)
    text = b"to " + ADDRESS + b" with " + SECRET[:-1] + b"."
    assert checked.feed(text) + checked.feed(b"", last=True) == text


@pytest.mark.parametrize("hidden", [b"\\u0041", b"\ndata: x", b"\rdata:"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_prose_with_what_only_others_read_is_refused(hidden: bytes, size: int) -> None:
    """An escaped character and data of events, however they are cut; other escapes and secrets are as in any text."""
    prose = ProseStream(FINDER, Mint(KEY))
    assert prose.feed(b"to \\u00e9 data: " + SECRET) + prose.feed(b".") == b"to \\u00e9 data: " + DB + b"."
    with pytest.raises(Unmaskable, match="too long"):
        for at in range(0, len(hidden), size):
            prose.feed(hidden[at : at + size])

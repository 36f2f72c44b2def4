"""Known values and detectors together: the union of both, sorted, and certain when nothing is there."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._core.mask.detectors import all_detectors
from penstock._core.mask.finder import Finder
from penstock._core.verdict import KnownValue

ADDRESS = b"ada.byron" + b"@example.org"
SECRET = b"q8Wz2" + b"Tt9kLm4"
KNOWN = (KnownValue("db", SECRET), KnownValue("pin", b"4711"), KnownValue("address", ADDRESS))
FINDER = Finder(KNOWN, frozenset({"email", "jwt"}))
EXAMPLES = [example.encode() for detector in all_detectors() for example in detector.examples]


def kinds(finder: Finder, text: bytes, begin: int = 0) -> list[str]:
    """Returns the kinds of the finds, in the order in which they are told."""
    return list(dict.fromkeys(find.kind for find in finder.look(text, begin)[0]))


def test_finds_are_the_union_of_known_values_and_detectors() -> None:
    """Sorted by begin; where both find the same, the known value is told first."""
    assert kinds(FINDER, b"to " + ADDRESS + b" with " + SECRET) == ["address", "email", "db"]


def test_only_what_was_chosen_is_looked_for() -> None:
    """A finder without detectors finds known values only, and an empty one nothing."""
    assert kinds(Finder(KNOWN, frozenset()), b"x@example.org " + SECRET) == ["db"]
    assert kinds(Finder((), frozenset({"email"})), b"x@example.org " + SECRET) == ["email"]
    empty = Finder((), frozenset())
    assert not empty.active
    assert empty.look(b"x@example.org", last=False) == ([], 13)
    assert not empty.occurs(b"x@example.org")


def test_a_finder_knows_its_part_for_known_values() -> None:
    """Signed text is looked through with it: no detector finds anything there."""
    assert kinds(FINDER.known, b"x@example.org " + SECRET) == ["db"]
    only_known = Finder(KNOWN, frozenset())
    assert only_known.known is only_known


def test_exact_values_occur_in_quotes_only() -> None:
    """A short value is for whole strings: amid text it is nothing, raw data may hold it anywhere."""
    assert FINDER.exact == {b"4711": "pin"}
    assert FINDER.occurs(b'{"pin": "4711"}')
    assert not FINDER.occurs(b'{"order": "47110"}')
    assert FINDER.occurs_raw(b"[4711]")
    assert not FINDER.occurs_raw(b"[4712]")
    assert Finder(KNOWN[1:2], frozenset()).active


def test_a_look_begins_where_it_is_told_to() -> None:
    """The byte before is context: a word that was cut there does not begin anew."""
    finder = Finder((), frozenset({"email"}))
    assert finder.look(b"xada@example.org", 1)[0] == []
    assert [find.start for find in finder.look(b" ada@example.org", 1)[0]] == [1]


def test_nothing_is_live_at_the_end() -> None:
    """When no more text follows, all of it is final; when more may follow, a beginning is not."""
    text = b"text ey" + b"J" + b"hbGciOi"
    assert FINDER.look(text, last=True) == ([], len(text))
    assert FINDER.look(text, last=False) == ([], 5)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(EXAMPLES) | st.binary(max_size=5) | st.sampled_from([SECRET, b"4711", b" ", b"@"]), max_size=5
    )
)
def test_a_no_is_certain(parts: list[bytes]) -> None:
    """Where nothing occurs, nothing is found, and finds come sorted."""
    text = b"".join(parts)
    finds = FINDER.look(text)[0]
    assert [find.start for find in finds] == sorted(find.start for find in finds)
    assert all(0 <= find.low <= find.start <= find.end <= find.high <= len(text) for find in finds)
    if not FINDER.occurs(text) or not FINDER.occurs_raw(text):
        assert finds == []


def test_far_colons_are_told() -> None:
    """A key and its value that stand too far apart for the raw bytes are noticed, if detectors look at all."""
    far = b'{"api_key"' + b" " * 20 + b': "x"}'
    assert FINDER.is_spaced_out(far)
    assert not FINDER.is_spaced_out(b'{"api_key": "x"}')
    assert not FINDER.known.is_spaced_out(far)


def test_a_finder_shows_no_value() -> None:
    """Neither it nor its finds."""
    finds = FINDER.look(SECRET + b" " + ADDRESS)[0]
    assert len(finds) >= 2
    assert SECRET.decode() not in repr(finds) + repr(FINDER)
    assert ADDRESS.decode() not in repr(finds) + str(finds) + repr(FINDER.exact)

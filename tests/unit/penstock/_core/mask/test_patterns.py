"""Finding by detectors: every match at every place, endless kinds, and where one could be about to begin."""

import pytest

from penstock._core.mask.detectors import Detector, all_detectors
from penstock._core.mask.find import OPEN_LIMIT, Find
from penstock._core.mask.patterns import Patterns, compiled, patterns

BEGIN, END = b"-----BEGIN " + b"PRIVATE KEY-----", b"-----END " + b"PRIVATE KEY-----"
JWT = b"eyJ" + b"hbGciOiJIUzI1NiJ9.eyJ" + b"zdWIiOiIxMjM0In0.c2lnbmF0dXJl"
VALUE = b"Zz9Yy8Xx" + b"7Ww6Vv5U"


def found(text: bytes, *names: str, begin: int = 0) -> list[Find]:
    """Returns the finds that mask something, as they come."""
    finds: list[Find] = []
    assert patterns(names).look(text, begin, finds, last=True) == len(text)
    return [find for find in finds if find.start < find.end]


def covered(text: bytes, *names: str) -> bytes:
    """Returns the text with a star for each byte that some find masks."""
    shown = bytearray(text)
    for find in found(text, *names):
        shown[find.start : find.end] = b"*" * (find.end - find.start)
    return bytes(shown)


def live(text: bytes, *names: str, begin: int = 0) -> int:
    """Returns from where on more text could change what is found."""
    return patterns(names).look(text, begin, [], last=False)


def test_only_the_secret_of_a_match_is_masked() -> None:
    """What stands before it decides, and stays readable; both count as decided by the find."""
    text = b"see api_key=" + VALUE + b" there"
    (find,) = found(text, "assigned-secret")
    assert text[find.low : find.high] == b"api_key=" + VALUE
    assert text[find.start : find.end] == find.value == VALUE


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (b"password=hunter2hunter2&client_secret=" + VALUE, VALUE),
        (b"access_key=AKID12345678&secret_key=" + VALUE + b"&x=1", VALUE),
        (b"password: client_secret=" + VALUE, VALUE),
        (b"password=required&client_secret=" + VALUE, VALUE),
        (b"api_key=password=" + VALUE, VALUE),
        (b"4111 4242 4242 4242 4242", b"4242 4242 4242 4242"),
        (b"AT61 1904 3002 3457 3201 DE89 3704 0044 0532 0130 00", b"DE89 3704 0044 0532 0130 00"),
        (b"basic bearer-token bearer " + VALUE, VALUE),
    ],
)
def test_a_find_or_a_refused_match_hides_no_other(text: bytes, hidden: bytes) -> None:
    """A match that ends in the beginning of the next, or that a check cuts short or refuses, does not keep it clear."""
    assert hidden not in covered(text, "all")


@pytest.mark.parametrize("before", [b" ", b"\n", b"=", b'"', b"\xc3\xa9", b"\0", b"-", b"\xff"])
def test_a_secret_begins_where_a_word_does(before: bytes) -> None:
    """Behind anything that is no letter, digit or underscore, whatever its encoding."""
    assert covered(before + JWT, "jwt") == before + b"*" * len(JWT)


def test_bytes_are_no_characters() -> None:
    """Text may be cut inside of a character: bytes beyond ASCII match like any other byte that is not named."""
    assert compiled("[^a]b").search(b"\xffb").span() == (0, 2)
    assert covered(b"\xc3" + JWT + b"\xc3", "jwt") == b"\xc3" + b"*" * len(JWT) + b"\xc3"


def test_an_endless_secret_goes_on_to_its_end() -> None:
    """With the end where that is part of it, without where it is what stands behind."""
    key = BEGIN + b"\nMII\n" + END
    assert covered(b"a " + key + b" b", "private-key") == b"a " + b"*" * len(key) + b" b"
    assert covered(b"a " + JWT + b" b " + JWT + b"!", "jwt").replace(b"*", b"") == b"a  b !"


@pytest.mark.parametrize("end", [b"", b"-----END", b"-----END PUBLIC KEY-----", b"----- END PRIVATE KEY -----", b"\0"])
def test_an_endless_secret_without_its_end_is_masked_to_the_end(end: bytes) -> None:
    """A malformed end ends nothing."""
    text = b"a " + BEGIN + b"\nMII\n" + end + b" and more"
    assert covered(text, "private-key") == b"a " + b"*" * (len(text) - 2)
    assert not any(find.closed for find in found(text, "private-key"))


def test_the_name_of_an_endless_secret_comes_from_its_first_bytes() -> None:
    """So much is held back; what follows cannot change the token any more."""
    text = BEGIN + b"A" * (2 * OPEN_LIMIT)
    assert found(text, "private-key")[0].value == text[:OPEN_LIMIT]
    assert found(text + END, "private-key")[0].value == text[:OPEN_LIMIT]


def test_where_two_detectors_find_the_same_the_first_of_the_file_ranks_first() -> None:
    """The general ones come last."""
    text = b"Authorization: Bearer " + JWT
    ranks = {find.kind: find.rank for find in found(text, "secrets")}
    assert ranks["jwt"] < ranks["authorization"]


def test_nothing_is_found_before_the_begin() -> None:
    """What was released is context: its last byte decides whether a word begins."""
    text = JWT + b" " + JWT
    assert min(find.start for find in found(text, "jwt", begin=len(JWT) + 1)) == len(JWT) + 1
    assert live(b"xSK0", "twilio-key", begin=1) == 4
    assert live(b" SK0", "twilio-key", begin=1) == 1


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.id)
def test_each_beginning_of_an_example_is_live(detector: Detector) -> None:
    """No byte of what may become a find is final before the find is: not even with all detectors about."""
    for example in detector.examples:
        text = b"\n " + example.encode()
        low = min(find.low for find in found(text + b"\n", detector.id))
        for end in range(low + 1, len(text)):
            told = [find for find in found(text[:end], detector.id) if find.until or find.high < end]
            assert live(text[:end], detector.id) <= low or told
            assert live(text[:end], "all") <= live(text[:end], detector.id)


def test_what_can_begin_nothing_is_not_live() -> None:
    """Prose ends final; a letter that some kind begins with is held alone."""
    assert live(b"some prose.\n", "all") == 12
    assert live(b"AKIA-compatible", "aws-access-key-id") == 15


def test_no_detectors_find_nothing() -> None:
    """An empty choice is not active and holds nothing back."""
    none = Patterns(())
    assert not none.active
    assert none.look(JWT, 0, [], last=False) == len(JWT)
    assert none.occurring(JWT) == []


def test_the_same_choice_is_compiled_once() -> None:
    """In any order, as often as it is named; an unknown name is refused."""
    assert patterns(["jwt", "email"]) is patterns(["email", "jwt", "jwt"])
    with pytest.raises(ValueError, match="there is no detector"):
        patterns(["nothing"])

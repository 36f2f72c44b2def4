"""JSON pointers with "*"."""

import pytest

from penstock._core.mask.pointer import matcher


def _names(pointer: str, *path: bytes) -> bool:
    named = matcher([pointer])
    assert named is not None
    return named(list(path))


def test_without_pointers_there_is_nothing_to_match() -> None:
    """The reader can then go without paths."""
    assert matcher([]) is None


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("", ()),
        ("/a", (b"a",)),
        ("/", (b"",)),
        ("/a/0/b", (b"a", b"0", b"b")),
        ("/a~1b", (b"a/b",)),
        ("/a~0b", (b"a~b",)),
        ("/~01", (b"~1",)),
        ("/*", (b"anything",)),
        ("/customers/*/iban", (b"customers", b"17", b"iban")),
        ("/*/*", (b"", b"*")),
        ("/über", ("über".encode(),)),
    ],
)
def test_a_pointer_names_its_place(pointer: str, path: tuple[bytes, ...]) -> None:
    """Escapes are undone in the order of RFC 6901, and "*" stands for any one token."""
    assert _names(pointer, *path)


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("", (b"a",)),
        ("/a", ()),
        ("/a", (b"a", b"b")),
        ("/a", (b"A",)),
        ("/*", (b"a", b"b")),
        ("/a*", (b"ab",)),
        ("/a~1b", (b"a", b"b")),
        ("/~01", (b"/",)),
        ("/a/0", (b"a", b"00")),
    ],
)
def test_a_pointer_names_nothing_else(pointer: str, path: tuple[bytes, ...]) -> None:
    """The length must be the same, and "*" is special only as a whole token."""
    assert not _names(pointer, *path)


def test_any_of_several_pointers_is_enough() -> None:
    """Pointers of one length and of others are looked at alike."""
    named = matcher(["/a", "/b/c", "/d/e"])
    assert named is not None
    assert [named([b"a"]), named([b"b", b"c"]), named([b"d", b"e"]), named([b"b", b"e"])] == [True, True, True, False]


@pytest.mark.parametrize("pointer", ["a", "a/b", "#/a", "*", "$.a"])
def test_what_is_no_pointer_is_refused(pointer: str) -> None:
    """A mask with a misspelt pointer must not pass for one that masks."""
    with pytest.raises(ValueError, match="JSON pointer"):
        matcher(["/ok", pointer])


@pytest.mark.parametrize("pointer", ["/a~2", "/~", "/a~/b", "/~~0"])
def test_an_escape_that_is_none_is_refused(pointer: str) -> None:
    """RFC 6901 knows "~0" and "~1"; a pointer with another would name nothing, and so mask nothing."""
    with pytest.raises(ValueError, match="is not a JSON pointer"):
        matcher([pointer])

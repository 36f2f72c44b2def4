"""YAML that means more than it shows is refused."""

import pytest

from penstock_server.document._yaml import MAX_DEPTH, MAX_DOCUMENT_BYTES, Rejected, compose


def rejected(text: str) -> list[tuple[str, str]]:
    """Returns the problems of a text."""
    with pytest.raises(Rejected) as raised:
        compose(text)
    return [(problem.where, problem.what) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "document", "is empty"),
        ("# only a comment", "document", "is empty"),
        ("a: &x 1", "line 1", "anchor &x"),
        ("a: 1\nb: !!str 2", "line 2", "tag"),
        ("!!python/object/apply:os.system [ls]", "line 1", "tag"),
        ("a: !own 2", "line 1", "tag !own"),
        ("{", "line", "not plain YAML"),
        ("a: b: c", "line 1", "not plain YAML"),
        ("a: 1\n---\nb: 2", "line", "another document"),
        ("\x00", "document", "not plain YAML"),
        ("a: \ud800", "document", "not valid Unicode"),
        ("a: " + "x" * MAX_DOCUMENT_BYTES, "document", "at most"),
        ("[" * (MAX_DEPTH + 1), "line 1", "nested deeper"),
        ("[" * 100_000, "line 1", "nested deeper"),
    ],
)
def test_what_is_no_plain_document_is_refused(text: str, where: str, what: str) -> None:
    """Each refusal names the line where there is one."""
    [(found_where, found_what)] = rejected(text)
    assert where in found_where
    assert what in found_what


def test_aliases_are_refused_with_their_anchors() -> None:
    """A document cannot grow by repetition, and each line reads as it stands."""
    assert rejected("a: &x [1]\nb: *x\nc: {<<: *x}") == [
        ("line 1", "the anchor &x is not allowed"),
        ("line 2", "the alias *x is not allowed; write the value out"),
        ("line 3", "the alias *x is not allowed; write the value out"),
    ]


def test_a_plain_document_is_composed() -> None:
    """Nesting up to the limit is fine."""
    assert compose("a: 1").start_mark is not None
    assert compose("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None

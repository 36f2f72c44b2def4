"""Properties of canonical paths: one form for all spellings, and nothing in it that two parsers read in two ways."""

import re
from random import Random
from urllib.parse import unquote_to_bytes

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock._core.canonical import canonical_path, split_target
from penstock._core.refusal import RefusedError
from penstock_server.domain.paths import compile_path

READABLE = st.sampled_from(
    b"/ // . .. ... ; ~ %7e a B %61 %41 %2e %2E %3b * { } %7B ' = : @ + %2B %25 %20 61 2e %c3%a9 \xc3\xa9 | ?".split()
)
DOUBTFUL = st.sampled_from(b"%2f %5C %00 % \\ \0 \xc3 %A9 %2561 %c0%ae %25 41 \x7f ..; .%3b".split())
PATHS = (
    st.lists(READABLE, max_size=14).map(lambda pieces: b"/" + b"".join(pieces))
    | st.lists(READABLE | DOUBTFUL, max_size=14).map(lambda pieces: b"/" + b"".join(pieces))
    | st.binary(max_size=20).map(lambda data: b"/" + data)
)
SEGMENTS = st.lists(
    st.text(st.characters(codec="utf-8", min_codepoint=0x20, exclude_characters="/\\%\x7f"), max_size=4)
    | st.text("ab.;~", max_size=3),
    max_size=5,
)
SETTINGS = settings(max_examples=1500, deadline=None)


def form(path: bytes) -> str | None:
    """Returns the canonical form, None if the path is refused."""
    try:
        return canonical_path(path)
    except RefusedError:
        return None


def reference(segments: list[str]) -> list[str] | None:
    """Returns what is left of decoded segments when dots are resolved, None if they lead above the root."""
    left: list[str] = []
    for segment in segments:
        if segment == ".." and not left:
            return None
        if segment == "..":
            left.pop()
        elif segment not in ("", "."):
            left.append(segment)
    return left


@SETTINGS
@given(PATHS)
def test_a_canonical_path_is_its_own_canonical_form(path: bytes) -> None:
    """A second parser that canonicalises again changes nothing."""
    once = form(path)
    assume(once is not None)
    assert once is not None
    assert canonical_path(once.encode("ascii")) == once
    assert split_target(once.encode("ascii")) == (once, "")


@SETTINGS
@given(PATHS)
def test_a_canonical_path_holds_nothing_that_is_read_in_two_ways(path: bytes) -> None:
    """No empty or dot segment, no encoded separator or NUL, no escape of an escape, no needless escape."""
    found = form(path)
    assume(found is not None)
    assert found is not None
    assert re.fullmatch(r"/(?:[A-Za-z0-9\-._~!$&'()+,=:@/]|%[0-9A-F]{2})*", found)
    assert "//" not in found
    assert not re.search(r"/\.\.?(?:/|%3B|$)", found)
    assert not re.search(r"%(?:2F|5C|00|25[0-9A-Fa-f]{2})", found)
    assert not any(
        re.fullmatch(rb"[A-Za-z0-9\-._~!$&'(),=:@]", unquote_to_bytes(it)) for it in re.findall("%..", found)
    )
    unquote_to_bytes(found).decode("utf-8")


@SETTINGS
@given(PATHS)
def test_a_rule_can_name_every_canonical_path(path: bytes) -> None:
    """Whatever reaches a rule can be written as a template without wildcards, and that template fits it alone."""
    found = form(path)
    assume(found is not None)
    assert found is not None
    template = compile_path(found)
    assert None not in template.literals and not template.rest
    assert template.match(found.split("/")[1:]) == {}


@SETTINGS
@given(SEGMENTS, st.randoms(use_true_random=False))
def test_paths_that_are_equal_when_decoded_have_one_form(segments: list[str], random: Random) -> None:
    """Escaping any character but a few reserved ones, in any case of the digits, changes nothing."""
    choose = random.random

    def spell(character: str) -> bytes:
        octets = character.encode()
        may_vary = re.fullmatch(r"[A-Za-z0-9\-._~!$&'(),=:@{}\"<>^`|* ]", character) or not character.isascii()
        if not may_vary or choose() < 0.5:
            return octets
        return b"".join((b"%%%02x" if choose() < 0.5 else b"%%%02X") % octet for octet in octets)

    plain = "/" + "/".join(segments)
    spelt = b"/" + b"/".join(b"".join(map(spell, segment)) for segment in segments)
    assert form(spelt) == form(plain.encode())


@SETTINGS
@given(SEGMENTS)
def test_dots_are_resolved_as_a_plain_reader_does(segments: list[str]) -> None:
    """The decoded segments of the canonical form are those that are left of the decoded segments of the path."""
    assume(not any(";" in segment for segment in segments))
    left = reference(segments)
    path = ("/" + "/".join(segments)).encode()
    found = form(path)
    if left is None or found is None:
        assert left is None and found is None
        return
    assert [unquote_to_bytes(each).decode() for each in found.strip("/").split("/") if each] == left
    open_end = bool(left) and segments[-1] in ("", ".", "..")
    assert found.endswith("/") is (open_end or not left)

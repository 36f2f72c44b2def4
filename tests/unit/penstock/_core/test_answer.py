"""Heads of answers: what of them goes to the agent, and what is too ambiguous to be passed on."""

import pytest

from penstock._core.answer import MEMO_BYTES, AnswerHead, BadAnswerError, read_answer, serialise
from penstock._core.headers import HOP_BY_HOP

DIGESTS = """
etag content-md5 digest content-digest repr-digest x-goog-hash x-goog-stored-content-length x-amz-checksum-sha256
x-amz-checksum-crc32 x-ms-content-crc64"""


def read(*headers: tuple[str, str], status: int = 200, to_head: bool = False) -> AnswerHead:
    """Returns the head of an answer with these fields."""
    return read_answer(status, [(name.encode(), value.encode()) for name, value in headers], to_head=to_head)


def test_fields_pass_in_their_order_with_lower_case_names() -> None:
    """Repeated ones stay apart; white space around values goes."""
    head = read(("X-B", " 1 "), ("Set-Cookie", "a=b"), ("X-A", "\té\t"), ("set-cookie", "c=d"), ("Location", "/x"))
    assert head.fields == [
        ("x-b", b"1"),
        ("set-cookie", b"a=b"),
        ("x-a", "é".encode()),
        ("set-cookie", b"c=d"),
        ("location", b"/x"),
    ]
    assert (head.status, head.length, head.bodiless, head.integrity) == (200, None, False, [])


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_fields_of_one_connection_end_here(name: str) -> None:
    """The agent's connection is another one."""
    value = "chunked" if name == "transfer-encoding" else "x"
    assert read((name.title(), value), ("x-a", "1")).fields == [("x-a", b"1")]


@pytest.mark.parametrize(
    "name",
    ["Alt-Svc", "X-Penstock-Code", "x-penstock-decision", "X-PENSTOCK-anything", "Accept-Ranges", "Content-Range"],
)
def test_ways_around_and_forged_fields_never_reach_the_agent(name: str) -> None:
    """Alt-Svc offers another way to the upstream; x-penstock- is the shim's own word; there are no ranges."""
    assert read((name, "x"), ("x-a", "1")).fields == [("x-a", b"1")]


def test_a_name_that_is_not_ascii_is_dropped() -> None:
    """No client could read it."""
    assert read_answer(200, [(b"x-\xc3\xa9", b"1"), (b"X-A", b"2")], to_head=False).fields == [("x-a", b"2")]


def test_fields_that_connection_names_are_dropped() -> None:
    """Wherever they stand."""
    head = read(("X-Hop", "1"), ("Connection", "close, X-HOP ,x-second"), ("x-second", "2"), ("x-a", "3"))
    assert head.fields == [("x-a", b"3")]


@pytest.mark.parametrize(
    "name",
    DIGESTS.split(),
)
def test_what_describes_the_exact_bytes_is_kept_apart(name: str) -> None:
    """It is wrong once a value was masked, so that only the reply can tell whether it may go."""
    head = read((name.title(), "abc"), ("x-a", "1"))
    assert (head.fields, head.integrity) == ([("x-a", b"1")], [(name, b"abc")])


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], None),
        ([("Content-Length", "0")], 0),
        ([("Content-Length", "0042")], 42),
        ([("Content-Length", "123456789012345")], 123456789012345),
        ([("Transfer-Encoding", "Chunked")], None),
    ],
)
def test_the_length_of_the_body(headers: list[tuple[str, str]], length: int | None) -> None:
    """None if only its end tells; the lines that said so do not go on."""
    head = read(*headers)
    assert (head.length, head.fields) == (length, [])


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
        [("Content-Length", "5"), ("content-length", "5")],
        [("Content-Length", "5"), ("Content-Length", "6")],
        [("Content-Length", "5, 5")],
        [("Content-Length", "+5")],
        [("Content-Length", "-1")],
        [("Content-Length", "5a")],
        [("Content-Length", "")],
        [("Content-Length", "\u0665")],
        [("Content-Length", "1234567890123456")],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "gzip")],
        [("Transfer-Encoding", "identity")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Content-Type", "text/plain"), ("Content-Type", "application/json")],
        [("Content-Type", "text/plain"), ("content-type", "text/plain")],
    ],
)
def test_an_ambiguous_answer_is_refused(headers: list[tuple[str, str]]) -> None:
    """Two lengths, unknown codings and two content types: agent and mask could read them in different ways."""
    with pytest.raises(BadAnswerError) as caught:
        read(*headers)
    assert caught.value.code == "bad_answer"
    assert caught.value.reason.endswith("nothing of it was passed on.")


@pytest.mark.parametrize(
    ("status", "to_head", "bodiless"),
    [
        (200, False, False),
        (200, True, True),
        (204, False, True),
        (304, False, True),
        (404, False, False),
        (500, True, True),
    ],
)
def test_which_answers_have_no_body(status: int, to_head: bool, bodiless: bool) -> None:
    """HEAD, 204 and 304, whatever length they tell (RFC 9110, section 6.4.1)."""
    head = read(("Content-Length", "10"), status=status, to_head=to_head)
    assert (head.bodiless, head.length) == (bodiless, 10)


def test_type_and_coding_are_read_and_forwarded() -> None:
    """The mask needs them, and so does the agent."""
    head = read(("Content-Type", "Text/Plain; charset=x"), ("Content-Encoding", "gzip"), ("Content-Encoding", "br"))
    assert (head.content_type, head.content_encoding) == ("Text/Plain; charset=x", "gzip, br")
    assert [name for name, _ in head.fields] == ["content-type", "content-encoding", "content-encoding"]


@pytest.mark.parametrize("size", [MEMO_BYTES, MEMO_BYTES + 1])
def test_long_values_are_read_like_short_ones(size: int) -> None:
    """Whether a field is kept in memory makes no difference, the second time neither."""
    for _ in range(2):
        assert read(("X-A", "v" * size), ("X-Penstock-Code", "v" * size)).fields == [("x-a", b"v" * size)]


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"HTTP/1.1 200 OK"), (404, b"HTTP/1.1 404 Not Found"), (299, b"HTTP/1.1 299 "), (999, b"HTTP/1.1 999 ")],
)
def test_a_head_is_written_with_the_standard_phrase(status: int, line: bytes) -> None:
    """Fields in their order, then the framing; the upstream's own phrase is not passed on."""
    fields = [("x-b", b"1"), ("x-a", "é".encode())]
    written = serialise(status, fields, b"content-length: 0\r\n")
    assert written == line + b"\r\nx-b: 1\r\nx-a: \xc3\xa9\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [0, 99, 600, 999])
def test_a_status_that_is_none_is_refused(status: int) -> None:
    """Clients read such lines in their own ways."""
    with pytest.raises(BadAnswerError):
        read(status=status)


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    """The shim forwards no range: two parts could cut a secret in halves. A HEAD may tell of one."""
    with pytest.raises(BadAnswerError):
        read(("content-range", "bytes 0-1/5"), status=206)
    assert read(status=206, to_head=True).bodiless

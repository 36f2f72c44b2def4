"""Answers on their way to the agent: framed anew, masked while they stream, refused or cut where they cannot be."""

import re
from collections.abc import Sequence

import pytest

from penstock._core.answer import BadAnswerError, read_answer
from penstock._core.mounts import Route
from penstock._core.reply import WHOLE_BYTES, Reply
from penstock._core.tape import Tape
from penstock._core.verdict import FrameKind, MaskSpec
from unit.penstock._core.fake_sides import KEY, KNOWN, FakeParty, FakeRecorder, added, an_upstream

MAIL = b"ada@example.com"
NAME = MaskSpec(json=frozenset({"/name"}))
NOTHING = MaskSpec()
EMAIL = MaskSpec(detectors=frozenset({"email"}))
JSON, TEXT, EVENTS = (("content-type", kind) for kind in ("application/json", "text/plain", "text/event-stream"))


class Answer:
    """Plays one answer through a Reply. known: whether the upstream has a known value."""

    def __init__(self, spec: MaskSpec = NOTHING, *, known: bool = False, http10: bool = False) -> None:
        route = Route.of(an_upstream(known=(KNOWN,) if known else ()))
        self.party = FakeParty([])
        self.recorder = FakeRecorder()
        self.tape = Tape(self.recorder, lambda: 5, "c" * 32, "billing", "", route.recorded(spec), KEY)
        covered = route.covers(spec)
        self.reply = Reply(self.party, self.tape, route.mask(spec), covered=covered, http10=http10)

    def play(
        self,
        headers: Sequence[tuple[str, str]],
        *pieces: bytes,
        status: int = 200,
        to_head: bool = False,
        keep_alive: bool = True,
        end: bool = True,
    ) -> bytes:
        """Plays head, pieces (each one read) and perhaps the end; returns what the agent got."""
        raw = [(name.encode(), value.encode()) for name, value in headers]
        self.reply.head(read_answer(status, raw, to_head=to_head), keep_alive=keep_alive)
        for piece in pieces:
            self.reply.body(piece)
            self.reply.flush()
        if end:
            self.reply.end()
        self.reply.flush()
        return self.party.written


def chunked(body: bytes) -> bytes:
    """Returns the body out of its chunks; they must be well formed and ended."""
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            assert body == b"\r\n"
            return out
        out += body[: int(size, 16)]
        assert body[int(size, 16) :].startswith(b"\r\n")
        body = body[int(size, 16) + 2 :]


# Nothing to be masked.


def test_plain_a_known_length_passes() -> None:
    """Bytes go on as they come, with the upstream's length and its integrity fields."""
    answer = Answer()
    got = answer.play([("ETag", '"1"'), TEXT, ("Content-Length", "6")], b"abc", b"def")
    head = b'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: "1"\r\n'
    assert got == head + added(0) + b"content-length: 6\r\n\r\nabcdef"
    assert answer.reply.keep_alive


def test_plain_nothing_waits_for_the_end() -> None:
    """The agent has the first piece before the second comes."""
    answer = Answer()
    assert answer.play([TEXT, ("Content-Length", "6")], b"abc", end=False).endswith(b"\r\n\r\nabc")
    assert answer.reply.started


def test_plain_an_unknown_length_is_chunked() -> None:
    """Whether the upstream sent chunks or ended with its connection."""
    got = Answer().play([TEXT], b"abc", b"", b"x" * 20)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\ntransfer-encoding: chunked")
    assert body == b"3\r\nabc\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"


def test_an_answer_is_dated_once() -> None:
    """By the upstream, or where it did not, by the shim; Via names the shim behind those before it."""
    named = [("Via", "1.0 first")]
    got = Answer().play([("Date", "yesterday"), *named], status=204)
    assert got == b"HTTP/1.1 204 No Content\r\ndate: yesterday\r\nvia: 1.0 first\r\nvia: 1.1 penstock\r\n\r\n"
    assert Answer().play(named, status=204) == b"HTTP/1.1 204 No Content\r\nvia: 1.0 first\r\n" + added(0) + b"\r\n"


def test_an_http_1_0_agent_gets_no_chunks() -> None:
    """The end of the connection ends the body, and the head says so."""
    answer = Answer(http10=True)
    got = answer.play([TEXT], b"abc", b"def", keep_alive=False)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + added(0)
    assert got == head + b"connection: close\r\n\r\nabcdef"
    assert not answer.reply.keep_alive


def test_an_http_1_0_agent_gets_a_length_where_there_is_one() -> None:
    """Then it can tell a whole body from a cut one."""
    got = Answer(http10=True).play([("Content-Length", "3")], b"abc", keep_alive=False)
    assert got == b"HTTP/1.1 200 OK\r\n" + added(0) + b"content-length: 3\r\nconnection: close\r\n\r\nabc"


def test_the_last_answer_of_a_connection_says_so() -> None:
    """An agent that knows sends nothing more."""
    for spec in (NOTHING, EMAIL):
        for length in ([("Content-Length", "3")], []):
            got = Answer(spec).play([TEXT, *length], b"abc", keep_alive=False)
            assert b"\r\nconnection: close\r\n" in got.partition(b"\r\n\r\n")[0] + b"\r\n"


@pytest.mark.parametrize("spec", [NOTHING, EMAIL])
@pytest.mark.parametrize(("status", "to_head"), [(200, True), (204, False), (304, False)])
def test_answers_without_a_body_end_with_their_head(spec: MaskSpec, status: int, to_head: bool) -> None:
    """No chunk and no byte follows, or the next answer would begin in the wrong place."""
    for length in ([("Content-Length", "12")], []):
        got = Answer(spec).play([("ETag", '"1"'), TEXT, *length], status=status, to_head=to_head)
        head, end, rest = got.partition(b"\r\n\r\n")
        assert end and rest == b""
        assert b"transfer-encoding" not in head and b'etag: "1"' in head
        assert (b"content-length: 12" in head) is (spec is not EMAIL and status != 204 and bool(length))


def test_bytes_after_an_answer_without_a_body_go_nowhere() -> None:
    """An upstream that sends a body with a 204 is not believed."""
    answer = Answer()
    assert answer.play([], b"HTTP/1.1 200 OK\r\n\r\n", status=204).count(b"HTTP/1.1") == 1
    assert answer.recorder.body(FrameKind.RESPONSE) == b""


# Masked at once.


@pytest.mark.parametrize("length", [True, False])
def test_whole_json_is_masked_and_its_length_computed_anew(length: bool) -> None:
    """Head and body go out together, once the end has come."""
    body = b'{"mail":"ada@example.com","n":1}'
    answer = Answer(EMAIL)
    headers = [JSON, ("ETag", '"1"'), *([("Content-Length", str(len(body)))] if length else [])]
    assert answer.play(headers, body[:9], body[9:], end=False) == b""
    assert not answer.reply.started
    answer.reply.end()
    head, _, masked = answer.party.written.partition(b"\r\n\r\n")
    assert f"content-length: {len(masked)}".encode() in head
    assert b"etag" not in head and b"transfer-encoding" not in head
    assert MAIL not in masked and masked.startswith(b'{"mail":"\xc2\xabemail:') and masked.endswith(b'","n":1}')
    assert answer.reply.started


@pytest.mark.parametrize("kind", [JSON, TEXT])
def test_whole_what_holds_nothing_passes_unchanged(kind: tuple[str, str]) -> None:
    """With its integrity fields, because the bytes are the same."""
    body = b'{ "a" : "b" }'
    headers = [kind, ("ETag", '"1"'), ("Digest", "sha-256=x"), ("Content-Length", str(len(body)))]
    head, _, got = Answer(EMAIL).play(headers, body[:5], body[5:]).partition(b"\r\n\r\n")
    assert got == body
    assert b'\r\netag: "1"' in head and b"\r\ndigest: sha-256=x" in head
    assert f"content-length: {len(body)}".encode() in head


def test_an_empty_body_is_whole() -> None:
    """Nothing to mask, length nought."""
    assert Answer(EMAIL).play([TEXT, ("Content-Length", "0")]).endswith(b"\r\ncontent-length: 0\r\n\r\n")


def test_a_body_that_turns_out_to_be_large_is_streamed() -> None:
    """JSON in chunks is gathered up to a limit; beyond it pieces go out masked, and none is lost."""
    item = b'{"mail":"ada@example.com","pad":"' + b"x" * 1000 + b'"},'
    body = b"[" + item * (WHOLE_BYTES // len(item) + 50) + b"0]"
    answer = Answer(EMAIL)
    pieces = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    got = answer.play([JSON, ("ETag", '"1"')], *pieces, end=False)
    assert answer.reply.started and b"etag" not in got.partition(b"\r\n\r\n")[0]
    answer.reply.end()
    masked = chunked(answer.party.written.partition(b"\r\n\r\n")[2])
    assert MAIL not in masked
    assert masked.count(b"\xc2\xabemail:") == body.count(MAIL)
    assert masked.startswith(b'[{"mail":"\xc2\xabemail:') and masked.endswith(b"0]")


# Streamed.


def test_events_stream_and_are_masked_across_pieces() -> None:
    """An event goes out when it is complete, chunked; a secret that is cut between reads is found."""
    answer = Answer(known=True)
    half = len(KNOWN.value) // 2
    answer.play([EVENTS, ("ETag", '"1"'), ("Content-Length", "99")], b"data: hello\n\n", end=False)
    assert answer.party.written.endswith(b"\r\nd\r\ndata: hello\n\n\r\n")
    for piece in (b"data: it is " + KNOWN.value[:half], KNOWN.value[half:] + b".\n\n", b"data: bye\n\n"):
        answer.reply.body(piece)
        answer.reply.flush()
    answer.reply.end()
    head, _, body = answer.party.written.partition(b"\r\n\r\n")
    assert head.endswith(b"transfer-encoding: chunked") and b"etag" not in head and b"content-length" not in head
    masked = chunked(body)
    assert re.fullmatch(rb"data: hello\n\ndata: it is \xc2\xabbilling-key:.{10}\xc2\xbb.\n\ndata: bye\n\n", masked)


def test_pieces_of_one_read_go_out_in_one_write() -> None:
    """A system call for each would cost more than all the rest."""
    answer = Answer()
    answer.reply.head(read_answer(200, [], to_head=False), keep_alive=True)
    for piece in (b"a", b"b", b"c"):
        answer.reply.body(piece)
    assert answer.party.log == []
    answer.reply.end()
    assert answer.party.log == ["agent: HTTP/1.1 200 OK"]
    assert chunked(answer.party.body) == b"abc"


def test_an_unmaskable_body_that_starts_is_refused() -> None:
    """Nothing was sent, so that a refusal is possible; nothing of the body is in it."""
    for headers in (
        [("Content-Type", "image/png")],
        [TEXT, ("Content-Encoding", "gzip")],
        [JSON, ("Content-Encoding", "br")],
    ):
        for length in ([("Content-Length", "4")], []):
            answer = Answer(EMAIL)
            with pytest.raises(BadAnswerError) as caught:
                answer.play([*headers, *length], b"abcd")
            assert caught.value.code == "answer_unmaskable"
            assert caught.value.reason.startswith("The upstream's answer was held back, because it cannot be masked: ")
            assert answer.party.written == b"" and not answer.reply.started


def test_json_that_is_none_is_refused_while_nothing_was_sent() -> None:
    """Where a rule names a value by its place, what has no places is not passed on."""
    for body in (b'{"name":', b"{'name':1}", b"<html>", b'{"name": oops}'):
        answer = Answer(NAME)
        with pytest.raises(BadAnswerError) as caught:
            answer.play([JSON, ("Content-Length", str(len(body)))], body)
        assert caught.value.code == "answer_unmaskable" and body.decode() not in caught.value.reason
        assert answer.party.written == b"" and not answer.reply.started


def test_what_becomes_unmaskable_later_is_an_error_and_no_clean_end() -> None:
    """What was sent was masked; the caller aborts because it has started, and the last chunk is never written."""
    answer = Answer(NAME)
    item = b'{"a":"' + b"x" * 1000 + b'"},'
    answer.play([JSON], b"[", *[item] * (WHOLE_BYTES // len(item) + 50), end=False)
    assert answer.reply.started
    with pytest.raises(BadAnswerError):
        answer.reply.body(b'{"a": oops}]')
    answer.reply.lost()
    assert not answer.party.written.endswith(b"0\r\n\r\n") and b"oops" not in answer.party.written


# Header values.


@pytest.mark.parametrize(
    ("status", "to_head", "length"),
    [
        (200, False, True),
        (200, False, False),
        (200, True, True),
        (204, False, False),
        (304, False, False),
        (302, False, True),
    ],
)
@pytest.mark.parametrize("name", ["Location", "X-Debug", "Set-Cookie", "ETag", "Digest"])
def test_known_values_in_headers_are_masked(name: str, status: int, to_head: bool, length: bool) -> None:
    """Also where there is no body, and in fields that pass only because the body is unchanged."""
    answer = Answer(known=True)
    sized = [("Content-Length", "0")] if length else []
    got = answer.play([TEXT, (name, f"x-{KNOWN.value.decode()}-y"), *sized], status=status, to_head=to_head)
    assert KNOWN.value not in got
    assert KNOWN.value not in answer.recorder.everything()


@pytest.mark.parametrize(("status", "to_head"), [(200, False), (200, True), (204, False)])
@pytest.mark.parametrize("name", ["x-debug", "etag"])
def test_a_header_that_a_rule_names_is_masked_whole(name: str, status: int, to_head: bool) -> None:
    """Whatever it holds."""
    spec = MaskSpec(headers=frozenset({name}))
    got = Answer(spec).play([(name, "anything"), ("Content-Length", "0")], status=status, to_head=to_head)
    assert b"anything" not in got

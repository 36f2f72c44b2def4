"""No way round: whatever an agent sends, either nothing reaches the upstream, or exactly what was judged does."""

import re

import grpc
import pytest

from integration.bypass import addresses, answers, bodies, exhaustion, heads, paths, sequences, smuggling
from integration.bypass.case import Case
from integration.bypass.doors import DOORS, knock
from integration.bypass.policy import SECRET
from integration.bypass.reading import Arrived, arrived, readings, sloppy
from integration.bypass.report import Report, Row
from integration.bypass.world import Outcomes, World
from penstock._core.describe import BodyState
from penstock._core.verdict import Ask, Outcome

pytestmark = pytest.mark.anyio

CASES: list[Case] = [
    case for each in (smuggling, paths, heads, addresses, bodies, answers, exhaustion, sequences) for case in each.CASES
]

BASES = {"hosted": "/hosted", "json": "/json", "reads": "/reads", "m": "/m", "approve": "/approve"}
EFFECTS = {Outcome.ALLOW: "allow", Outcome.DENY: "deny", Outcome.PENDING: "pending"}
ADMIN = re.compile(rf"(?:{'|'.join(BASES.values())})?/admin(?:/|\Z)")
"""What may never arrive, below whatever base."""
SAY_LENGTH = ("POST", "PUT", "PATCH")


def forwarded(ask: Ask, version: str) -> tuple[str, str, tuple[tuple[str, bytes], ...], bytes]:
    """Returns what must arrive of a question that was allowed, framing apart: what was judged, and the shim's own."""
    http, upstream = ask.action.http, ask.action.upstream
    query = f"?{http.query}" if http.query else ""
    headers = [("host", http.authority.encode()), *http.headers, ("via", f"{version} penstock".encode())]
    if upstream in ("b", "m"):
        headers.append(("x-api-key", SECRET))
    return http.method, f"{BASES.get(upstream, '')}{http.path}{query}", tuple(headers), http.body


def raw(ask: Ask, version: str) -> bytes:
    """Returns that as the bytes that must arrive."""
    method, target, headers, body = forwarded(ask, version)
    lines = [f"{method} {target} HTTP/1.1".encode(), *(name.encode() + b": " + value for name, value in headers)]
    if body or method in SAY_LENGTH:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


def unframed(request: Arrived) -> Arrived:
    """Returns a request that arrived without the fields of its framing."""
    method, target, headers, body = request
    kept = tuple(field for field in headers if field[0] not in ("content-length", "transfer-encoding"))
    return method, target, kept, body


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}-{case.name}")
async def test_either_nothing_arrives_or_what_was_judged(case: Case, world: World, report: Report) -> None:
    """The bytes at the origin are those of the allowed actions, one by one, and the log has every one of them."""
    found = await world.play(case)
    report.add(row(case, world, found))
    assert found.answers == case.answers
    if case.paths is not None:
        assert tuple(ask.action.http.path for ask, _ in found.judged) == case.paths
    require_judged(case, found)
    require_safe(case, world, found)
    for ask, outcome in found.judged:
        entry, http = found.entries[ask.call_id], ask.action.http
        if outcome is Outcome.NEED_BODY:
            assert entry is None  # the body was too large to decide
            continue
        assert entry is not None
        assert (entry.method, entry.resource, entry.effect) == (http.method, http.path, EFFECTS[outcome])
    assert found.probe is not None and found.probed == raw(found.probe, "1.1"), "the connection was left in disorder"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("who", ["the agent's token", "no token"])
async def test_an_agent_opens_no_door_of_the_service(door: str, who: str, world: World, report: Report) -> None:
    """What it has of its own, its token, is for shims to show: called with that, the service refuses everything."""
    error = await knock(world.service, door, world.tokens[b"@AGENT@"].decode() if who != "no token" else "")
    report.add(Row("8", f"{door} with {who}", f"gRPC {door}", "", "", f"{error.code().name}: {error.details()}"))
    assert error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def require_judged(case: Case, found: Outcomes) -> None:
    """Asserts that what arrived is what was allowed, byte for byte, and reads the same to another parser."""
    version = "1.0" if b" HTTP/1.0\r\n" in b"".join(case.pieces) else "1.1"
    allowed = [ask for ask, outcome in found.judged if outcome is Outcome.ALLOW]
    if case.refused:
        assert found.received == b""
        return
    assert allowed
    if case.body is None:
        assert all(ask.action.http.body_state is not BodyState.WITHHELD for ask in allowed)
        assert found.received == b"".join(raw(ask, version) for ask in allowed)
    requests = [request for stream in found.streams for request in arrived(stream, cut=case.cut)][
        :-1
    ]  # the last is the probe's
    expected = []
    for ask in allowed:
        method, target, headers, body = forwarded(ask, version)
        if case.body is not None and ask.action.http.body_state is BodyState.WITHHELD:
            body = case.body
        expected.append((method, target, headers, body))
    assert [unframed(request) for request in requests] == expected


def require_safe(case: Case, world: World, found: Outcomes) -> None:
    """Asserts that nothing arrived, or came back, that must not, in any reading."""
    received, shown = found.received.lower(), found.answer
    for token in world.tokens.values():
        assert token not in found.received and token not in shown
    for text in case.never:
        assert text not in received
    for text in case.arrived:
        assert text in received
    for stream in found.streams:
        for _, target, _, _ in arrived(stream, cut=case.cut):
            assert not ADMIN.match(sloppy(target, lower=not case.upper))
    for text in case.shown:
        assert text in shown
    for hidden in (SECRET, *case.hidden):
        assert not any(hidden in reading for reading in readings(shown))


def row(case: Case, world: World, found: Outcomes) -> Row:
    """Returns what the report says."""
    judged = [
        f"{EFFECTS.get(outcome, outcome.value)} {ask.action.http.method} {ask.action.upstream} {ask.action.http.path}"
        + (f"?{ask.action.http.query}" if ask.action.http.query else "")
        for ask, outcome in found.judged
    ]
    sent = repr(b" | ".join(case.pieces))[2:-1]
    received = repr(found.received.replace(SECRET, b"@SECRET@").replace(world.origin.encode(), b"@ORIGIN@"))[2:-1]
    refused = "; ".join(answer for answer in found.answers if " " in answer)
    refused = refused or ("" if found.answers else "closed without an answer")
    return Row(case.row, case.name, sent, "; ".join(judged), received, refused)

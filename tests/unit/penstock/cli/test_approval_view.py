"""What a reviewer reads before saying yes."""

import json

from penstock.cli.approval_view import as_json, as_row, as_text, remaining, state_name
from penstock.v1 import action_pb2, approval_pb2

NOW_MS = 1_700_000_000_000


def an_approval(body: bytes = b'{"amount":5}', path: str = "/v1/refunds/7") -> approval_pb2.Approval:
    """Returns a pending request for a refund."""
    http = action_pb2.HttpRequest(
        method="POST",
        authority="billing.example.com",
        path=path,
        query="dry=no",
        headers=[action_pb2.Header(name="content-type", value=b"application/json")],
        body_state=action_pb2.BODY_STATE_WHOLE if body else action_pb2.BODY_STATE_NONE,
        body=body,
    )
    return approval_pb2.Approval(
        name="apr_1",
        state=approval_pb2.APPROVAL_STATE_PENDING,
        requester=action_pb2.Principal(issuer="urn:i", subject="bot", groups=["agents"], owner="ann"),
        action=action_pb2.Action(upstream="billing", http=http),
        action_digest=bytes(range(32)),
        rules=["refunds-need-a-human"],
        reason="money leaves",
        requirements=[
            approval_pb2.Requirement(
                rule="refunds-need-a-human", quorum=1, reviewers=[approval_pb2.ReviewerMatch(group="finance")]
            )
        ],
        session="s1",
        expires_at_ms=NOW_MS + 545_000,
    )


def test_everything_that_is_bound_is_shown() -> None:
    """Requester, upstream, method, authority, path, query, headers, body, rules, reason and the time left."""
    text = as_text(an_approval(), NOW_MS)
    for line in [
        "approval   apr_1",
        "requester  bot, owner ann",
        "upstream   billing",
        "method     POST",
        "authority  billing.example.com",
        "path       /v1/refunds/7",
        "query      dry=no",
        "header     content-type: application/json",
        "rule       refunds-need-a-human",
        "reason     money leaves",
        "needs      0 of 1 from group finance (refunds-need-a-human)",
        "session    s1 (chosen by the agent)",
        "body       12 bytes, JSON, indented:",
        '  |   "amount": 5',
    ]:
        assert line in text.split("\n")
    assert "(9m05s)" in text
    assert bytes(range(32)).hex() in text


def test_no_value_can_look_like_another_line() -> None:
    """Line breaks and terminal commands in any field are written out; body lines stay behind their margin."""
    approval = an_approval(b"x\nmethod     GET\x1b[1A\r\nrule       none", "/a\nmethod     GET")
    approval.reason = "ok\u202eGET"
    text = as_text(approval, NOW_MS)
    assert [line for line in text.split("\n") if line.startswith("method")] == ["method     POST"]
    assert "path       /a<U+000A>method     GET" in text
    assert "  | method     GET<U+001B>[1A<U+000D>" in text
    assert "ok<U+202E>GET" in text


def test_a_body_that_is_no_text_is_shown_in_hexadecimal_digits() -> None:
    """Every byte is there."""
    assert "  | ff00fe" in as_text(an_approval(b"\xff\x00\xfe"), NOW_MS)


def test_an_absent_and_a_withheld_body_read_differently() -> None:
    """A reviewer must not take an unseen body for none."""
    absent = an_approval(b"")
    assert "body       (none)" in as_text(absent, NOW_MS)
    absent.action.http.body_state = action_pb2.BODY_STATE_WITHHELD
    assert "does not show it" in as_text(absent, NOW_MS)


def test_a_row_is_one_line() -> None:
    """Name, state, time left, who, what; control characters written out."""
    row = as_row(an_approval(path="/a\nb"), NOW_MS)
    assert row == "apr_1  pending      9m05s  bot, owner ann  billing  POST /a<U+000A>b?dry=no"


def test_json_has_every_field_and_survives_a_round_trip() -> None:
    """Programs get states in lower case, integers for times, and the body as text or base64."""
    approval = an_approval()
    approval.grant.name = "grt_1"
    approval.reviews.add(reviewer=action_pb2.Principal(subject="eve"), approved=True, reason="fine", at_ms=3)
    value = json.loads(json.dumps(as_json(approval)))
    assert (value["name"], value["state"], value["body"]) == ("apr_1", "pending", '{"amount":5}')
    assert value["requester"]["owner"] == "ann"
    assert value["headers"] == [["content-type", "application/json"]]
    assert value["action_digest"] == bytes(range(32)).hex()
    assert value["reviews"][0]["reviewer"]["subject"] == "eve"
    assert value["grant"]["name"] == "grt_1"
    assert as_json(an_approval(b"\xff"))["body_base64"] == "/w=="
    assert as_json(an_approval())["grant"] is None


def test_times_and_states_of_any_value_are_shown() -> None:
    """A state of a later release and an absurd time do not break the view."""
    assert remaining(NOW_MS - 1, NOW_MS) == "over"
    assert remaining(NOW_MS + 7_260_000, NOW_MS) == "2h01m"
    approval = an_approval()
    approval.state = 99  # type: ignore[assignment]  # what a later release may send
    approval.expires_at_ms = 2**62
    assert state_name(approval) == "unknown"
    assert f"{2**62} ms" in as_text(approval, NOW_MS)


def test_every_part_of_who_may_review_is_shown() -> None:
    """A match by issuer or owner alone is not shown as anybody."""
    approval = approval_pb2.Approval(
        requirements=[
            approval_pb2.Requirement(
                rule="r",
                quorum=2,
                reviewers=[approval_pb2.ReviewerMatch(issuer="urn:x", owner="olga")],
            )
        ]
    )
    assert "needs      0 of 2 from issuer urn:x and owner olga (r)" in as_text(approval, 0)

"""Carries one request from its head to the end of its answer.

Rules:

- Nothing is forwarded before an ALLOW, and what is forwarded is what was asked about.
- A small body that came with its head goes with the question; otherwise the question says WITHHELD, and the service may
  demand the whole body. Until then pieces wait, and the agent is slowed down.
- PENDING holds the request until a later verdict or until the hold is over; that is a refusal, never a denial.
- A refusal is possible until the first byte of the answer has gone to the agent; after that only an abort is.
- Only a request that changes nothing is sent a second time, and only if a kept connection broke before any answer.

The machine (from every state there is also the way to DONE: refused, aborted, or the agent has gone):

    READING -> ASKED -> OPENING -> FORWARDING -> RELAYING -> DONE
               ASKED -> COLLECTING -> ASKED          the service needs the body
               ASKED -> HELD -> OPENING              a person must agree
               FORWARDING -> OPENING                 a kept connection was stale
"""

from enum import Enum

from penstock._core import refusals
from penstock._core.answer import BadAnswerError, read_answer
from penstock._core.describe import BodyState
from penstock._core.environment import Environment, Link, Party
from penstock._core.incoming import NO_BODY, Incoming
from penstock._core.permit import permitted_route
from penstock._core.recording import Recording
from penstock._core.refusal import Refusal, RefusedError, of_verdict, render
from penstock._core.reply import Reply
from penstock._core.request_body import RequestBody
from penstock._core.verdict import Ask, MaskSpec, Outcome, Verdict

__all__ = ["Exchange", "State"]

FIRST_BODY_BYTES = 16384
"""Largest body in bytes that goes with the first question: cheaper than a second one."""
HELD_BYTES = 65536
"""Bytes of a body that wait for a verdict before the agent is slowed down."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """Names where an exchange is."""

    __hash__ = object.__hash__  # members are single; Enum's own hash is Python code (0.3 µs)

    READING = "reading"
    ASKED = "asked"
    COLLECTING = "collecting"
    HELD = "held"
    OPENING = "opening"
    FORWARDING = "forwarding"
    RELAYING = "relaying"
    DONE = "done"


NEXT: dict[State, frozenset[State]] = {
    State.READING: frozenset({State.ASKED, State.DONE}),
    State.ASKED: frozenset({State.OPENING, State.COLLECTING, State.HELD, State.DONE}),
    State.COLLECTING: frozenset({State.ASKED, State.DONE}),
    State.HELD: frozenset({State.OPENING, State.DONE}),
    State.OPENING: frozenset({State.FORWARDING, State.DONE}),
    State.FORWARDING: frozenset({State.OPENING, State.RELAYING, State.DONE}),
    State.RELAYING: frozenset({State.DONE}),
    State.DONE: frozenset(),
}


class Exchange:
    """Carries one request; every method is an event. deadline: when `expired` is due, 0 for never."""

    def __init__(self, env: Environment, party: Party, request: Incoming) -> None:
        self._env = env
        self._party = party
        self._request = request
        self._body = RequestBody(env.spool, request.token)
        self._body.complete = request.length == NO_BODY
        self._call_id = ""
        self._asked_whole = False
        self._max_body = 0
        self._pending: Verdict | None = None
        self._early: Refusal | None = None
        self._spec = MaskSpec()
        self._verdict: Verdict | None = None
        self._link: Link | None = None
        self._reused = self._slow = self._link_slow = False
        self._recording: Recording | None = None
        self._reply: Reply | None = None
        self.state = State.READING
        self.deadline = 0.0

    @property
    def request_complete(self) -> bool:
        """Tells whether the whole request has come."""
        return self._body.complete

    def method(self) -> str:
        """Returns the method of the request."""
        return self._request.method

    # What comes from the agent.

    def body(self, data: bytes) -> None:
        """Takes a piece of the body."""
        state = self.state
        if state is State.DONE or self._early is not None:
            return
        try:
            self._body.add(data)
        except RefusedError as error:
            self._fail(error.refusal)
            return
        if state is State.FORWARDING or state is State.RELAYING:
            self._send_on()
            self._watch_upload()
        elif state is State.COLLECTING:
            self._watch(self._env.limits.body_timeout_s)
            if self._body.size > self._max_body:
                self._too_large()
        elif self._body.held > HELD_BYTES:
            self._party.pause()

    def end(self) -> None:
        """Takes the end of the body."""
        self._body.complete = True
        if self.state is State.FORWARDING or self.state is State.RELAYING:
            self._send_on()
            self._watch_upload()
        elif self.state is State.COLLECTING:
            self._ask(BodyState.WHOLE)

    def start(self) -> None:
        """Asks, once what came with the head has been taken; called again it does nothing."""
        if self.state is not State.READING:
            return
        env, body = self._env, self._body
        self._call_id = env.new_call_id()
        if self._early is not None:
            self._refuse(self._early)
        elif env.decider.config() is None:
            self._refuse(refusals.NO_SERVICE)
        elif not env.recorder.ready():
            self._refuse(refusals.NO_RECORDING)
        elif self._request.length == NO_BODY:
            self._ask(BodyState.NONE)
        elif body.complete and body.size <= FIRST_BODY_BYTES:
            self._ask(BodyState.WHOLE if body.size else BodyState.NONE)
        else:
            self._ask(BodyState.WITHHELD)

    def broken(self, refusal: Refusal) -> None:
        """Takes that the rest of the request cannot be read."""
        if self.state is not State.DONE:
            self._fail(refusal)

    def gone(self) -> None:
        """Takes that the agent has gone."""
        if self.state is not State.DONE:
            self._finish("aborted_by_client")

    def agent_slow(self, slow: bool) -> None:
        """Takes that the agent reads more slowly than the upstream sends, or that it has caught up."""
        self._slow = slow
        if self._link is not None:
            (self._link.pause if slow else self._link.resume)()

    # What comes from the service.

    def verdict(self, verdict: Verdict) -> None:
        """Takes an answer to the question; whatever fails here, the agent gets an answer."""
        try:
            self._decided(verdict)
        except Exception:
            self._crash()
            raise

    def _decided(self, verdict: Verdict) -> None:
        if self.state is State.ASKED or self.state is State.HELD:
            outcome = verdict.outcome
            if outcome is Outcome.ALLOW:
                self._allow(verdict)
            elif outcome is Outcome.NEED_BODY and self.state is State.ASKED and not self._asked_whole:
                self._collect(verdict.need_body_max)
            elif outcome is Outcome.PENDING and self.state is State.ASKED:
                self._hold(verdict)
            elif outcome is Outcome.NEED_BODY or outcome is Outcome.PENDING:
                self._refuse(refusals.NONSENSE)
            else:
                self._refuse(of_verdict(verdict))

    def expired(self) -> None:
        """Takes that the deadline has passed."""
        state = self.state
        if state is State.HELD and self._pending is not None:
            self._refuse(of_verdict(self._pending))
        elif state is State.COLLECTING:
            self._refuse(refusals.REST_MISSING)
        elif state is State.FORWARDING and not self._body.complete and not self._link_slow:
            self._refuse(refusals.REST_MISSING_UPSTREAM)
        elif state is State.FORWARDING:
            self._refuse(refusals.UPSTREAM_SILENT)
        elif state is State.RELAYING:
            self._fail(refusals.UPSTREAM_STOPPED)

    # What comes from the upstream.

    def opened(self, link: Link, *, reused: bool) -> None:
        """Takes a connection, and sends what there is of the request."""
        if self.state is not State.OPENING or self._verdict is None:
            link.abort()
            return
        self._go(State.FORWARDING)
        self._link = link
        self._reused = reused
        request, body = self._request, self._body
        framing = body.framing(request.length, request.method)
        data = body.take()
        link.send(request.head(framing, self._verdict.credential) + body.framed(data))
        if self._recording is not None:
            self._recording.request(data, complete=body.complete)
        if not body.complete:
            if self._recording is not None:
                self._recording.sent()
            if request.expect_continue and not body.size:
                self._party.write(_CONTINUE)
            self._party.resume()
        if self._slow:
            link.pause()
        self._watch_upload()

    def open_failed(self, code: str, reason: str) -> None:
        """Takes that no connection could be made; reason: one line for people."""
        if self.state is State.OPENING:
            self._refuse(Refusal(502, code, reason))

    def answer_head(self, status: int, headers: list[tuple[bytes, bytes]], *, http10: bool = False) -> None:
        """Takes the head of the answer (never a 1xx one); http10: it came in HTTP/1.0."""
        if self.state is not State.FORWARDING:
            return
        assert self._recording is not None
        route, spec, request = self._request.route, self._spec, self._request
        try:
            head = read_answer(status, headers, to_head=request.method == "HEAD", http10=http10)
            tape, covered = self._recording.tape, route.covers(spec)
            reply = Reply(self._party, tape, route.mask(spec), covered=covered, http10=request.http10)
            reply.head(head, keep_alive=request.keep_alive and self._body.complete)
        except BadAnswerError as error:
            self._refuse(Refusal(502, error.code, error.reason))
            return
        self._reply = reply
        self._go(State.RELAYING)
        self._watch(self._env.limits.stream_timeout_s)

    def answer_body(self, data: bytes) -> None:
        """Takes a piece of the answer's body."""
        if self.state is not State.RELAYING or self._reply is None:
            return
        try:
            self._reply.body(data)
        except BadAnswerError as error:
            self._fail(Refusal(502, error.code, error.reason))

    def answer_flush(self) -> None:
        """Takes the end of one read from the upstream."""
        if self.state is State.RELAYING and self._reply is not None:
            self._reply.flush()
            self._watch(self._env.limits.stream_timeout_s)

    def answer_end(self) -> None:
        """Takes the end of the answer."""
        if self.state is not State.RELAYING or self._reply is None:
            return
        try:
            self._reply.end()
        except BadAnswerError as error:
            self._fail(Refusal(502, error.code, error.reason))
            return
        keep_alive = self._reply.keep_alive
        self._reply = None
        self._finish("complete", reusable=self._body.complete)
        self._party.finished(keep_alive=keep_alive)

    def link_lost(self) -> None:
        """Takes that the connection broke before the end of the answer."""
        self._link = None
        if self.state is State.RELAYING:
            started = self._reply is not None and self._reply.started
            if started:
                self._abort("aborted_by_upstream")
            else:
                self._refuse(refusals.UPSTREAM_BROKE_OFF, "aborted_by_upstream")
        elif self.state is State.FORWARDING:
            if self._reused and self._may_resend():
                self._go(State.OPENING)
                self._env.links.open(self._request.route, self, fresh=True)
                return
            self._refuse(refusals.UPSTREAM_CLOSED, "aborted_by_upstream")

    def link_slow(self, slow: bool) -> None:
        """Takes that the upstream reads more slowly than the agent sends, or that it has caught up."""
        if self.state is not State.DONE:
            self._link_slow = slow
            (self._party.pause if slow else self._party.resume)()
            self._watch_upload()

    # Steps.

    def _go(self, state: State) -> None:
        assert state in NEXT[self.state], f"{self.state} -> {state}"
        self.state = state
        self.deadline = 0.0

    def _watch(self, seconds: float) -> None:
        self.deadline = self._env.clock() + seconds

    def _watch_upload(self) -> None:
        """Gives the agent its time for the next piece, or the upstream its own if the request waits for it."""
        if self.state is State.FORWARDING:
            limits, waits = self._env.limits, self._body.complete or self._link_slow
            self._watch(limits.answer_timeout_s if waits else limits.body_timeout_s)

    def _ask(self, body_state: BodyState) -> None:
        self._asked_whole = body_state is not BodyState.WITHHELD
        self._go(State.ASKED)
        request = self._request
        action = request.action(body_state, self._body.whole() if body_state is BodyState.WHOLE else b"")
        ask = Ask(self._call_id, request.token, action, request.session, can_hold=True)
        self._env.decider.ask(ask, self.verdict)

    def _collect(self, most: int) -> None:
        self._go(State.COLLECTING)
        self._max_body = most
        if self._request.length > most or self._body.size > most:
            self._too_large()
        elif self._body.complete:
            self._ask(BodyState.WHOLE)
        else:
            if self._request.expect_continue and not self._body.size:
                self._party.write(_CONTINUE)
            self._watch(self._env.limits.body_timeout_s)
            self._party.resume()

    def _hold(self, verdict: Verdict) -> None:
        self._go(State.HELD)
        self._pending = verdict
        hold_s = min(verdict.hold_ms / 1000, self._env.limits.max_hold_s)
        if hold_s > 0:
            self._watch(hold_s)
        else:
            self._refuse(of_verdict(verdict))

    def _allow(self, verdict: Verdict) -> None:
        route = permitted_route(verdict, self._request.route, self._env.current(self._request.route.upstream.name))
        if isinstance(route, Refusal):
            self._refuse(route)
            return
        self._request.route = route
        self._go(State.OPENING)
        self._verdict = verdict
        self._spec = verdict.masks
        self._recording = Recording(self._env, self._request, self._call_id, self._spec, verdict.mask_key)
        self._env.links.open(route, self)

    def _send_on(self) -> None:
        """Sends further pieces of the body, and its end."""
        body = self._body
        data = body.take()
        if self._link is not None:
            self._link.send(body.framed(data))
        if self._recording is not None:
            self._recording.request(data, complete=body.complete)

    def _may_resend(self) -> bool:
        verdict, request = self._verdict, self._request
        once = verdict is None or verdict.approval != ""
        return request.method in _SAFE and request.length == NO_BODY and not once

    def _too_large(self) -> None:
        self._refuse(refusals.body_too_large(self._max_body))

    def _fail(self, refusal: Refusal) -> None:
        """Refuses when it is this request's turn, and while that is possible; else aborts."""
        if self.state is State.READING:
            self._early = self._early or refusal
        elif self._reply is not None and self._reply.started:
            self._abort("aborted_by_shim")
        else:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal, outcome: str = "refused") -> None:
        request = self._request
        stranger = refusal.code.startswith("token_")  # who has no valid token fills no disk
        if self.state is not State.READING and self._recording is None and not stranger:
            self._recording = Recording(self._env, request, self._call_id, self._spec, self._env.key)
        keep_alive = request.keep_alive and self._body.complete
        self._reply = None
        self._finish(outcome)
        dialect, head_only, now_ms = request.route.upstream.dialect, request.method == "HEAD", self._env.now_ms()
        self._party.write(render(refusal, dialect, head_only=head_only, close=not keep_alive, now_ms=now_ms))
        self._party.finished(keep_alive=keep_alive)

    def _crash(self) -> None:
        """Lets go of everything after an error of the shim's own; nothing that might fail again is tried."""
        if self.state is not State.DONE:
            link, self._link = self._link, None
            self.state, self.deadline, self._reply = State.DONE, 0.0, None
            self._env.decider.cancel(self._call_id)
            self._body.drop()
            if link is not None:
                link.abort()
        self._party.abort()

    def _abort(self, outcome: str) -> None:
        self._finish(outcome)
        self._party.abort()

    def _finish(self, outcome: str, *, reusable: bool = False) -> None:
        """Lets go of everything, and records the end."""
        asked = self.state is State.ASKED or self.state is State.HELD
        self._go(State.DONE)
        if asked:
            self._env.decider.cancel(self._call_id)
        try:
            if self._reply is not None:
                self._reply.lost()
            if self._recording is not None:
                self._recording.refused(self._body)
                self._recording.end(outcome)
        except Exception:
            self._party.abort()  # what cannot be recorded does not end well
            raise
        finally:
            link, self._link = self._link, None
            if link is not None:
                (link.release if reusable else link.abort)()
            self._reply = None
            self._body.drop()

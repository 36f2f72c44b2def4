"""The four sides of an exchange, played by a test: agent, service, recorder and upstream. None of them does anything
by itself; each remembers what it was told, and one log holds all of it in its order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from penstock._core.describe import HttpRequest
from penstock._core.environment import Answered, Environment, Spool
from penstock._core.exchange import Exchange
from penstock._core.incoming import Incoming, read_head
from penstock._core.limits import Limits
from penstock._core.mounts import Mounts, Route
from penstock._core.verdict import Ask, Frame, FrameKind, KnownValue, Outcome, ShimConfig, Upstream, Verdict

__all__ = [
    "CREDENTIAL",
    "KEY",
    "KNOWN",
    "TOKEN",
    "FakeDecider",
    "FakeLink",
    "FakeLinks",
    "FakeParty",
    "FakeRecorder",
    "Stage",
    "a_config",
    "a_request",
    "added",
    "an_upstream",
    "mounts",
]

TOKEN = "agent-" + "token-" + "of-the-test"
KEY = b"the key of mask tokens"
CREDENTIAL = ("x-api-key", b"real-" + b"key-of-the-upstream")
KNOWN = KnownValue("billing-key", b"known-" + b"value-of-the-test")


def added(seconds: int = 1000) -> bytes:
    """Returns the lines that a shim adds to the head of an answer without a Date, at that time."""
    return f"date: Thu, 01 Jan 1970 00:{seconds // 60:02}:{seconds % 60:02} GMT\r\nvia: 1.1 penstock\r\n".encode()


def an_upstream(
    name: str = "billing",
    url: str = "http://billing.example",
    *,
    dialect: str = "problem",
    token_from: tuple[str, ...] = ("authorization", "x-api-key"),
    private: bool = False,
    known: tuple[KnownValue, ...] = (),
) -> Upstream:
    """Returns an upstream, mounted under its name."""
    return Upstream(name, url, f"/{name}", dialect, token_from, private, known)


def a_config(*upstreams: Upstream) -> ShimConfig:
    """Returns a configuration; with the billing upstream if none is given."""
    return ShimConfig(1, upstreams or (an_upstream(),))


def mounts(*upstreams: Upstream) -> Mounts:
    """Returns the mounts of such a configuration."""
    return Mounts(a_config(*upstreams))


def a_request(
    method: str = "GET",
    target: str = "/billing/v1/things",
    *headers: tuple[str, str],
    upstream: Upstream | None = None,
    version: str = "1.1",
    token: str = TOKEN,
) -> Incoming:
    """Returns a request as the parser would have given it, with a Host and the agent's token."""
    fields = [("Host", "shim.example"), *([("Authorization", f"Bearer {token}")] if token else []), *headers]
    raw = [(name.encode(), value.encode()) for name, value in fields]
    return read_head(method.encode(), target.encode(), version, raw, mounts(*([upstream] if upstream else [])))


@dataclass
class FakeParty:
    """Is the agent. written: all bytes. ended: "kept", "closed" or "aborted" once the exchange is over."""

    log: list[str]
    written: bytes = b""
    paused: bool = False
    ended: str = ""

    def write(self, data: bytes) -> None:
        assert not self.ended, "written after the end"
        self.written += data
        self.log.append("agent: " + data.partition(b"\r\n")[0].decode("latin-1"))

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def finished(self, *, keep_alive: bool) -> None:
        self._end("kept" if keep_alive else "closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        assert not self.ended, f"ended twice: {self.ended}, {how}"
        self.ended = how
        self.log.append(f"agent: {how}")

    @property
    def status(self) -> int:
        """Returns the status of the answer."""
        return int(self.written.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        """Returns what follows the head of the answer."""
        return self.written.partition(b"\r\n\r\n")[2]


@dataclass
class FakeLink:
    """Is a connection to the upstream. sent: all bytes. ended: "released" or "aborted"."""

    log: list[str]
    sent: bytes = b""
    paused: bool = False
    ended: str = ""

    def send(self, data: bytes) -> None:
        assert not self.ended, "sent after the end"
        self.sent += data

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def release(self) -> None:
        self._end("released")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        assert not self.ended, f"ended twice: {self.ended}, {how}"
        self.ended = how
        self.log.append(f"upstream: {how}")

    @property
    def head(self) -> bytes:
        """Returns the head that was sent, with its empty line."""
        head, end, _ = self.sent.partition(b"\r\n\r\n")
        return head + end

    @property
    def body(self) -> bytes:
        """Returns what was sent after the head."""
        return self.sent.partition(b"\r\n\r\n")[2]


@dataclass
class FakeLinks:
    """Opens nothing: remembers who asked for what, so that the test opens it."""

    log: list[str]
    wanted: list[tuple[Route, Answered, bool]] = field(default_factory=list)

    def open(self, route: Route, taker: Answered, *, fresh: bool = False) -> None:
        self.wanted.append((route, taker, fresh))
        self.log.append("upstream: open" + (" fresh" if fresh else ""))


class FakeDecider:
    """Is the service. judge: answers at once if there is one; else the test calls `deliver`."""

    def __init__(
        self, log: list[str], config: ShimConfig | None, judge: Callable[[Ask], Verdict | None] | None = None
    ) -> None:
        self.log = log
        self.current = config
        self.judge = judge
        self.asks: list[Ask] = []
        self.waiting: dict[str, Callable[[Verdict], None]] = {}
        self.cancelled: list[str] = []
        self.callbacks: list[Callable[[ShimConfig | None], None]] = []

    def config(self) -> ShimConfig | None:
        return self.current

    def on_config(self, callback: Callable[[ShimConfig | None], None]) -> None:
        self.callbacks.append(callback)

    def push(self, config: ShimConfig | None) -> None:
        """Sends a configuration, or tells with None that the stream is lost."""
        self.current = config
        for callback in self.callbacks:
            callback(config)

    def ask(self, ask: Ask, deliver: Callable[[Verdict], None]) -> None:
        self.asks.append(ask)
        self.waiting[ask.call_id] = deliver
        self.log.append(f"service: asked {ask.action.http.body_state.value}")
        verdict = self.judge(ask) if self.judge else None
        if verdict is not None:
            self.deliver(verdict)

    def deliver(self, verdict: Verdict) -> None:
        """Hands a verdict over, unless the question was withdrawn."""
        deliver = self.waiting.get(verdict.call_id)
        if verdict.outcome is not Outcome.PENDING:
            self.waiting.pop(verdict.call_id, None)
        if deliver is not None:
            deliver(verdict)

    def cancel(self, call_id: str) -> None:
        if self.waiting.pop(call_id, None) is not None:
            self.cancelled.append(call_id)
            self.log.append("service: cancelled")


@dataclass
class FakeRecorder:
    """Keeps every frame, and checks what holds for all of them."""

    frames: list[Frame] = field(default_factory=list)
    is_ready: bool = True

    def ready(self) -> bool:
        return self.is_ready

    def put(self, frame: Frame) -> None:
        assert len(frame.body) <= 65536
        ended = {each.call_id for each in self.frames if each.outcome}
        assert frame.call_id not in ended, "a frame after the end"
        self.frames.append(frame)

    @property
    def kinds(self) -> list[str]:
        """Returns what was recorded: kinds, and the outcome behind the last one, or in place of the end's."""
        kinds: list[str] = []
        for frame in self.frames:
            kinds += [frame.kind.value] if frame.kind is not FrameKind.END else []
            kinds += [frame.outcome] if frame.outcome else []
        return kinds

    def body(self, kind: FrameKind) -> bytes:
        """Returns the recorded body of the REQUEST or RESPONSE."""
        more = {FrameKind.REQUEST: FrameKind.REQUEST_BODY, FrameKind.RESPONSE: FrameKind.RESPONSE_BODY}[kind]
        return b"".join(frame.body for frame in self.frames if frame.kind in (kind, more))

    def everything(self) -> bytes:
        """Returns all that was recorded in one piece, to search in."""
        return repr(self.frames).encode() + b"".join(frame.body for frame in self.frames)


class Stage:
    """Sets one exchange among its fakes. Times pass only when the test says so."""

    def __init__(
        self, request: Incoming | None = None, *, limits: Limits | None = None, spool_bytes: int = 1 << 30
    ) -> None:
        self.request = request or a_request()
        self.log: list[str] = []
        self.now = 1000.0
        self.party = FakeParty(self.log)
        self.links = FakeLinks(self.log)
        self.decider = FakeDecider(self.log, a_config(self.request.route.upstream))
        self.recorder = FakeRecorder()
        self.spool = Spool(spool_bytes)
        self.route: Route | None = self.request.route
        """Where the upstream is by the configuration of now."""
        self.env = Environment(
            decider=self.decider,
            recorder=self.recorder,
            links=self.links,
            current=lambda name: self.route if name == self.request.route.upstream.name else None,
            limits=limits or Limits(),
            spool=self.spool,
            clock=lambda: self.now,
            now_ms=lambda: int(self.now * 1000),
            new_call_id=lambda: "c0" * 16,
            key=KEY,
        )
        self.exchange = Exchange(self.env, self.party, self.request)

    def send(self, *pieces: bytes, end: bool = True) -> None:
        """Plays what comes from the agent in one read: pieces of the body, and perhaps the end."""
        for piece in pieces:
            self.exchange.body(piece)
        if end:
            self.exchange.end()
        self.exchange.start()

    def decide(self, outcome: Outcome, **fields: object) -> None:
        """Plays a verdict on the last question; its credential is a known value by then, unless route was changed."""
        route = self.request.route
        if fields.get("credential") and self.route is route:
            self.route = Route.of(route.upstream, (*route.known, KnownValue("upstream-key", CREDENTIAL[1])))
        self.decider.deliver(Verdict(self.decider.asks[-1].call_id, outcome, mask_key=KEY, **fields))  # type: ignore[arg-type]

    def connect(self, *, reused: bool = False) -> FakeLink:
        """Plays the connection that was asked for last."""
        link = FakeLink(self.log)
        self.links.wanted[-1][1].opened(link, reused=reused)
        return link

    def answer(
        self, status: int, headers: Sequence[tuple[str, str]], *pieces: bytes, end: bool = True, flush: bool = True
    ) -> None:
        """Plays an answer that comes in one read."""
        self.exchange.answer_head(status, [(name.encode(), value.encode()) for name, value in headers])
        for piece in pieces:
            self.exchange.answer_body(piece)
        if end:
            self.exchange.answer_end()
        if flush:
            self.exchange.answer_flush()

    def pass_time(self, seconds: float) -> None:
        """Lets time pass, and looks at the deadline as a shim does."""
        self.now += seconds
        if self.exchange.deadline and self.now >= self.exchange.deadline:
            self.exchange.expired()

    @property
    def judged(self) -> HttpRequest:
        """Returns what was asked about last."""
        return self.decider.asks[-1].action.http

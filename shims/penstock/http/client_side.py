"""Is an agent's connection: bytes in, events to one exchange after the other.

Requests that come before the former one is answered wait in a queue of bounded length. What the parser refuses, and a
head that cannot be read in one way only, is answered by a refusal in its turn; then the connection ends, because what
follows on it cannot be trusted to begin where it seems to.
"""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from penstock._core.exchange import Exchange
from penstock._core.incoming import read_head
from penstock._core.refusal import Refusal, RefusedError, render
from penstock._core.refusals import BROKEN_REQUEST, HEAD_TOO_LARGE, NO_SERVICE

if TYPE_CHECKING:
    from penstock.http.shim import Hub

__all__ = ["ClientConnection"]

MAX_QUEUED = 4
"""Requests that may wait on one connection before reading stops."""
LINGER_BYTES = 1 << 20
"""Bytes of a refused body that are read and dropped, so that the agent gets to read the refusal."""
LINGER_S = 2.0
"""How long that may take, seconds (nginx: lingering_timeout is 5)."""

_log = logging.getLogger(__name__)


class _Rejected:
    """Stands in the queue for a request that its head alone refused."""

    deadline = 0.0

    def __init__(self, connection: "ClientConnection", refusal: Refusal, *, head_only: bool, keep_alive: bool) -> None:
        self._connection = connection
        self._refusal = refusal
        self._head_only = head_only
        self._keep_alive = keep_alive
        self.request_complete = False

    def start(self) -> None:
        keep_alive = self._keep_alive and self.request_complete
        head_only, now_ms = self._head_only, self._connection.now_ms()
        refused = render(self._refusal, "problem", head_only=head_only, close=not keep_alive, now_ms=now_ms)
        self._connection.write(refused)
        self._connection.finished(keep_alive=keep_alive)

    def body(self, data: bytes) -> None:
        pass

    def end(self) -> None:
        self.request_complete = True

    def gone(self) -> None:
        pass

    def broken(self, refusal: Refusal) -> None:
        pass

    def expired(self) -> None:
        pass

    def agent_slow(self, slow: bool) -> None:
        pass


class ClientConnection(asyncio.Protocol):
    """Implements penstock._core.environment.Party for the exchange whose turn it is."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpRequestParser | _Deaf = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._field_bytes = 0
        self._head_bytes = self._empty_bytes = 0
        self._in_head = self._began = self._moved = False
        self._active: Exchange | _Rejected | None = None
        self._queue: deque[Exchange | _Rejected] = deque()
        self._receiving: Exchange | _Rejected | None = None
        self._running = self._closing = self._paused = self._slow = False
        self._lingered = 0
        self._deadline = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Joins the hub, or is closed if there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = self._hub.env.clock() + self._hub.env.limits.head_timeout_s
        if not self._hub.joined(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parses what came; then the exchange whose turn it is may ask."""
        if self._closing:
            self._linger(len(data))
            return
        self._began = self._moved = False
        self._feed(data)
        self._bound(len(data))
        if self._active is not None:
            self._run()
            if len(self._queue) >= MAX_QUEUED:
                self.pause()
        elif self._in_head and self._began:
            self._deadline = self._hub.env.clock() + self._hub.env.limits.head_timeout_s

    def eof_received(self) -> bool:
        """Takes the end of the agent's stream as its leaving: what waits for it is withdrawn, at once.

        An agent that closed only its own direction looks the same (TCP cannot tell), and would still read. But a model
        that writes for nobody and an approval that nobody waits for cost more than a client that nobody has seen:
        nginx, Envoy and Go's server decide likewise. What was written already still goes out.
        """
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Withdraws what is under way."""
        self._hub.left(self)
        self._transport = None
        active, self._active = self._active, None
        self._drop_queue()
        if active is not None:
            active.gone()

    def pause_writing(self) -> None:
        """Tells the exchange that its agent reads too slowly."""
        self._slow = True
        if self._active is not None:
            self._active.agent_slow(True)

    def resume_writing(self) -> None:
        """Tells the exchange that its agent has caught up."""
        self._slow = False
        if self._active is not None:
            self._active.agent_slow(False)

    # Party

    def write(self, data: bytes) -> None:
        """Queues bytes for the agent; dropped if it has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause(self) -> None:
        """Takes no more requests for now."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Takes more again."""
        if self._transport is not None and self._paused and len(self._queue) < MAX_QUEUED:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def finished(self, *, keep_alive: bool) -> None:
        """Ends the exchange; goes on with the next one, or ends the connection."""
        done = self._active
        if not keep_alive or self._closing:
            self._end(read_on=done is not None and not done.request_complete)
            return
        self._active = self._queue.popleft() if self._queue else None
        self._deadline = self._hub.env.clock() + self._hub.env.limits.idle_timeout_s
        self.resume()
        if self._active is None:
            if self._hub.draining:
                self._end(read_on=False)
        elif not self._running:
            self._run()

    def abort(self) -> None:
        """Breaks the connection so that the agent sees that the answer is not complete."""
        self._active = None
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # The hub

    def now_ms(self) -> int:
        """Returns the time, UTC milliseconds."""
        return self._hub.env.now_ms()

    def tick(self, now: float) -> None:
        """Looks at the deadline of what is under way."""
        active = self._active
        if active is not None:
            if active.deadline and now >= active.deadline:
                active.expired()
        elif now >= self._deadline and self._transport is not None:
            if self._closing:
                self._transport.abort()
            else:
                self._transport.close()

    def drain(self) -> bool:
        """Closes the connection if nothing is under way; returns whether something is."""
        if self._active is None and self._transport is not None:
            self._transport.close()
        return self._active is not None

    def cut(self) -> None:
        """Breaks off what is under way."""
        active = self._active
        if active is not None:
            active.gone()
        self.abort()

    # Steps

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                # The offer is not taken: the request is answered as it is, and the next one is read.
                self._parser = httptools.HttpRequestParser(self)
                rest = rest[int(upgrade.args[0]) :]
                continue
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                _log.error("reading a request failed: %s", type(cause).__name__)
                self.cut()
            except httptools.HttpParserError:
                self._broken()
            return

    def _bound(self, size: int) -> None:
        """Bounds what one read may add to a head that began before it, or to lines that move nothing on: trailers."""
        limit = self._hub.env.limits.max_head_bytes
        if self._in_head and not self._began and isinstance(self._parser, httptools.HttpRequestParser):
            self._head_bytes += size
            if self._head_bytes > limit:
                self._reject(HEAD_TOO_LARGE)
        self._empty_bytes = 0 if self._moved or self._in_head else self._empty_bytes + size
        if self._empty_bytes > limit and isinstance(self._parser, httptools.HttpRequestParser):
            self._broken()

    def _broken(self) -> None:
        """Refuses what cannot be parsed, when its turn comes."""
        refusal = BROKEN_REQUEST
        receiving = self._receiving
        if receiving is not None and not receiving.request_complete:
            receiving.broken(refusal)
        elif receiving is None:
            self._reject(refusal)
        else:
            self._queue_turn(_Rejected(self, refusal, head_only=False, keep_alive=False))
        # From here on nothing is parsed any more; what is under way is answered.
        self._parser = _Deaf()

    def _reject(self, refusal: Refusal) -> None:
        self._queue_turn(_Rejected(self, refusal, head_only=False, keep_alive=False))
        self._parser = _Deaf()
        self._run()

    def _queue_turn(self, turn: Exchange | _Rejected) -> None:
        if self._active is None:
            self._active = turn
        else:
            self._queue.append(turn)

    def _run(self) -> None:
        """Lets exchanges begin, in their order."""
        if self._running:
            return
        self._running = True
        try:
            while (turn := self._active) is not None and not self._closing:
                if self._slow:
                    turn.agent_slow(True)
                turn.start()
                if self._active is turn:
                    return
        finally:
            self._running = False

    def _end(self, *, read_on: bool) -> None:
        """Ends the connection after what was written; read_on: the agent may still be sending."""
        self._active = None
        self._drop_queue()
        if self._closing or self._transport is None or self._transport.is_closing():
            return
        self._closing = True
        if read_on and self._transport.can_write_eof():
            self._deadline = self._hub.env.clock() + LINGER_S
            self.resume()
            self._transport.write_eof()
        else:
            self._transport.close()

    def _drop_queue(self) -> None:
        """Lets go of the requests that nobody will answer: their bodies count in the spool."""
        while self._queue:
            self._queue.popleft().gone()

    def _linger(self, size: int) -> None:
        self._lingered += size
        if self._lingered > LINGER_BYTES and self._transport is not None:
            self._transport.abort()

    # httptools

    def on_message_begin(self) -> None:
        """Begins a head."""
        self._url = b""
        self._headers = []
        self._field_bytes = self._head_bytes = 0
        self._in_head = self._began = self._moved = True

    def on_url(self, url: bytes) -> None:
        """Collects the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collects a field; after the head it is a trailer, which goes no further."""
        self._field_bytes += len(name) + len(value) + 4
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Reads the head, and puts the request in the queue."""
        self._in_head = False
        headers, self._headers = self._headers, []
        parser, env = cast(httptools.HttpRequestParser, self._parser), self._hub.env
        method = parser.get_method()
        try:
            if len(headers) > env.limits.max_headers or self._field_bytes + len(self._url) > env.limits.max_head_bytes:
                raise RefusedError.of(HEAD_TOO_LARGE)
            if self._hub.mounts is None:
                raise RefusedError.of(NO_SERVICE)
            request = read_head(method, self._url, parser.get_http_version(), headers, self._hub.mounts)
            turn: Exchange | _Rejected = Exchange(env, self, request)
        except RefusedError as error:
            keep = parser.should_keep_alive() and error.refusal.status not in (400, 405)
            turn = _Rejected(self, error.refusal, head_only=method == b"HEAD", keep_alive=keep)
        self._receiving = turn
        self._queue_turn(turn)

    def on_body(self, data: bytes) -> None:
        """Hands a piece of the body on."""
        self._moved = True
        if self._receiving is not None:
            self._receiving.body(data)

    def on_message_complete(self) -> None:
        """Hands the end of the request on."""
        self._moved = True
        if self._receiving is not None:
            self._receiving.end()


class _Deaf:
    """Stands for the parser of a connection that is not listened to any more."""

    def feed_data(self, data: bytes | memoryview) -> None:
        pass

"""Is a connection to an upstream: bytes in, events to the exchange that uses it; kept between exchanges.

An upstream is hostile by assumption: what it sends without being asked, after its answer, or against the protocol ends
the connection. Each answer gets a parser of its own, because answers to HEAD leave one in the middle of a body.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import httptools

from penstock._core.environment import Answered

if TYPE_CHECKING:
    from penstock.http.pool import Pool

__all__ = ["UpstreamConnection"]

_log = logging.getLogger(__name__)

_LENGTH_NAMES = frozenset({b"content-length", b"transfer-encoding"})


class UpstreamConnection(asyncio.Protocol):
    """Implements penstock._core.environment.Link. idle_since: monotonic seconds, set by the pool."""

    def __init__(self, pool: "Pool", key: object) -> None:
        self._pool = pool
        self.key = key
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._taker: Answered | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._empty_bytes = 0
        self._moved = False
        self._answer_headers: list[tuple[bytes, bytes]] = []
        self._in_head = self._informational = False
        self._ended = self._keep = self._released = self._feeding = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parses what came and hands it on."""
        taker, parser = self._taker, self._parser
        if taker is None or parser is None:
            self.abort()
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._pool.limits.max_head_bytes + len(data):
                self._break()
                return
        self._feeding = True
        self._moved = self._in_head
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._break()
        except httptools.HttpParserCallbackError as error:
            _log.error("reading an answer failed: %s", type(error.__context__).__name__)
            self._break()
        except httptools.HttpParserError:
            if not self._ended:
                self._break()
            self._keep = False
        finally:
            self._feeding = False
        self._empty_bytes = 0 if self._moved else self._empty_bytes + len(data)
        if self._empty_bytes > self._pool.limits.max_head_bytes:
            self._break()  # trailers, or what belongs to chunks, without end
        taker.answer_flush()
        if self._released:
            self._give_back()

    def pause_writing(self) -> None:
        """Tells the exchange to slow its agent down."""
        if self._taker is not None:
            self._taker.link_slow(True)

    def resume_writing(self) -> None:
        """Tells the exchange to go on."""
        if self._taker is not None:
            self._taker.link_slow(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends an answer that only the end of the connection ends; anything else is a break."""
        self._pool.forget(self)
        taker, self._taker = self._taker, None
        self._transport = None
        if taker is None or self._ended:
            return
        if exc is None and self._ends_with_connection():
            self._ended = True
            taker.answer_end()
        else:
            taker.link_lost()

    # Link

    def take(self, taker: Answered) -> None:
        """Begins an exchange on this connection."""
        self._taker = taker
        self._parser = httptools.HttpResponseParser(self)
        self._headers = []
        self._head_bytes = self._empty_bytes = 0
        self._in_head = True
        self._informational = False
        self._ended = self._keep = self._released = False

    @property
    def usable(self) -> bool:
        """Tells whether the connection is open."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """Queues bytes for the upstream."""
        if data and self.usable and self._transport is not None:
            self._transport.write(data)

    def pause(self) -> None:
        """Takes no more of the answer for now."""
        if self.usable and self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Takes more of the answer again."""
        if self.usable and self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    def release(self) -> None:
        """Gives the connection back, once all that came with the end of the answer has been looked at."""
        self._taker = None
        self._released = True
        if not self._feeding:
            self._give_back()

    def abort(self) -> None:
        """Breaks the connection."""
        self._taker = None
        self._keep = False
        if self._transport is not None:
            self._transport.abort()

    def _ends_with_connection(self) -> bool:
        """Tells whether only the end of the connection ends the answer under way."""
        return not self._in_head and not any(name.lower() in _LENGTH_NAMES for name, _ in self._answer_headers)

    def _give_back(self) -> None:
        self._released = False
        self._parser = None
        if self._keep and self.usable:
            self.resume()
            self._pool.give_back(self)
        else:
            self.abort()

    def _break(self) -> None:
        """Ends an exchange whose upstream does not keep to the protocol."""
        taker = self._taker
        self.abort()
        if taker is not None and not self._ended:
            self._ended = True
            taker.link_lost()

    # httptools

    def on_message_begin(self) -> None:
        """Takes the first byte of a message; behind an answer nobody asked for it."""
        if self._ended:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collects a field; after the head it is a trailer, which goes no further."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hands the head on; drops those of interim answers."""
        if self._ended:
            self._keep = False
            return
        headers, self._headers = self._headers, []
        taker, parser = self._taker, self._parser
        if taker is None or parser is None:
            return
        status = parser.get_status_code()
        self._informational = 100 <= status < 200
        if self._informational:
            return
        self._in_head = False
        self._keep = parser.should_keep_alive()
        self._answer_headers = headers
        if len(headers) > self._pool.limits.max_headers:
            self._break()
            return
        taker.answer_head(status, headers, http10=parser.get_http_version() == "1.0")
        if self._taker is taker and taker.method() == "HEAD":
            self._ended = True
            taker.answer_end()

    def on_body(self, data: bytes) -> None:
        """Hands a piece of the body on."""
        self._moved = True
        if self._ended:
            self._keep = False
        elif self._taker is not None:
            self._taker.answer_body(data)

    def on_message_complete(self) -> None:
        """Hands the end on, except of interim answers."""
        if self._informational:
            self._informational = False
        elif not self._ended:
            self._ended = True
            if self._taker is not None:
                self._taker.answer_end()

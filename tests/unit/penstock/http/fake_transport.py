"""A transport without a socket: it remembers what was written, and whether it reads, is closed or broken."""

import asyncio

__all__ = ["FakeTransport"]


class FakeTransport(asyncio.Transport):
    """Is one side of a connection. ended: "closed" after all was written, or "aborted"."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = b""
        self.writes = 0
        self.ended = ""
        self.wrote_eof = False
        self.reading = True
        protocol.connection_made(self)

    def receive(self, *pieces: bytes) -> None:
        """Plays what comes from the other side, each piece as one read."""
        for piece in pieces:
            assert not self.ended and self.reading, "read although nothing should be"
            self.protocol.data_received(piece)

    def lose(self, error: Exception | None = None) -> None:
        """Plays the end of the connection."""
        self.ended = self.ended or "lost"
        self.protocol.connection_lost(error)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended and not self.wrote_eof, "written after the end"
        self.written += bytes(data)
        self.writes += 1

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        if self.ended != "lost":
            self.ended = "aborted"

    def is_reading(self) -> bool:
        return self.reading and not self.ended

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.wrote_eof = True

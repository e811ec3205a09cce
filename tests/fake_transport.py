"""A transport in memory for the HTTP protocol, and what goes over it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from fake_endpoint import FakeEndpoint, make_app

from rawbot.aio.engine import Engine
from rawbot.aio.protocol import HttpProtocol


class FakeTransport(asyncio.Transport):
    """Keeps what is written. The peer reads it at once, or while `stuck` not at all, as asyncio's transport sees it."""

    HIGH_WATER = 64 * 1024

    def __init__(self, protocol: asyncio.Protocol, *, stuck: bool = False) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711)})
        self.protocol = protocol
        self.stuck = stuck
        self.written = bytearray()
        self.unread = 0
        self.paused_protocol = False
        self.reading = True
        self.closing = False
        self.aborted = False
        self.lost = False
        self.half_closed = False
        protocol.connection_made(self)

    def write(self, data: bytes) -> None:
        assert not self.closing
        assert not self.half_closed
        self.written += data
        self.unread += len(data) if self.stuck else 0
        if self.unread > self.HIGH_WATER and not self.paused_protocol:
            self.paused_protocol = True
            self.protocol.pause_writing()

    def take(self) -> bytes:
        """Return what the peer reads now."""
        data = bytes(self.written)
        self.written.clear()
        self.unread = 0
        if self.paused_protocol:
            self.paused_protocol = False
            self.protocol.resume_writing()
        if self.closing:
            self._lose()
        elif self.half_closed:
            self._answer_eof()
        return data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Close our side; the peer closes its own when it has read to the end."""
        self.half_closed = True
        if not self.unread:
            asyncio.get_running_loop().call_soon(self._answer_eof)

    def _answer_eof(self) -> None:
        if not self.closing and not self.protocol.eof_received():
            self.close()

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        if not self.unread:
            self._lose()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


def get(query: int | str) -> bytes:
    return b"GET /bot?%s HTTP/1.1\r\nHost: x\r\n\r\n" % str(query).encode()


def post(body: bytes, fields: bytes = b"") -> bytes:
    return b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (len(body), fields) + body


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", data)]


def bodies(data: bytes) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 ")[1:]]


@contextlib.asynccontextmanager
async def connected(
    endpoint: FakeEndpoint, *, stuck: bool = False, **options: object
) -> AsyncIterator[tuple[FakeTransport, HttpProtocol, Engine]]:
    """Run an app with one connection; afterwards nothing of it may be left."""
    engine = make_app(endpoint, **options).engine(asyncio.get_running_loop())
    protocol = HttpProtocol(engine)
    transport = FakeTransport(protocol, stuck=stuck)
    try:
        yield transport, protocol, engine
    finally:
        transport.abort()
        await asyncio.sleep(0)
        assert not engine.connections
        assert len(engine.wheel) == 0
        await engine.close()


async def lifetime(transport: FakeTransport, drip: bytes = b"") -> float:
    """Let bytes drip in until the server closes; return how many seconds that took."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for at in range(300):
        if transport.lost:
            return loop.time() - start
        if drip and not transport.closing:
            transport.protocol.data_received(drip[at % len(drip) : at % len(drip) + 1])
        await asyncio.sleep(0.01)
    raise AssertionError("it never ended")

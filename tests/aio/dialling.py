"""A dial on an engine of its own, and the servers that it meets: honest ones, and ones that say whatever they like."""

import asyncio
import contextlib
import hashlib
import logging
import re
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

import pytest
import trustme
from fake_channel import FakeChannel
from fake_endpoint import until
from listening import NewLoop
from listening import run as run_on
from websockets.asyncio.server import ServerConnection, serve

from rawbot.aio.app import App
from rawbot.aio.engine import Engine
from rawbot.aio.outgoing.dialing import Dialing
from rawbot.aio.settings import Timeouts
from rawbot.event import Event
from rawbot.exchange import Channel, Dial, Headers
from rawbot.websocket.settings import WebSocketSettings

TARGET = "/onebot/v12/?access_token=SECRET"
AUTHORIZED: Headers = ((b"authorization", b"Bearer SECRET"),)
INTERVAL = 0.01
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Behaviour = Callable[[bytes, Reader, Writer], Awaitable[None]]
"""What a server does with the head of a request, before it closes."""


def switching(head: bytes, *fields: str, accept: str = "") -> bytes:
    """Return the answer that accepts this handshake."""
    found = re.search(rb"sec-websocket-key: (\S+)", head)
    assert found is not None
    accept = accept or b64encode(hashlib.sha1(found[1] + GUID).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", *fields, "", ""]).encode()


class RogueServer:
    """Reads the heads of requests, and does what it is told to."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.heads: list[bytes] = []
        self.connected = 0
        self.open = 0
        self.most = 0
        """How many connections were open at once."""
        self.port = 0

    @contextlib.asynccontextmanager
    async def listen(self, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator["RogueServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0.01)  # what was accepted just then begins
            await until(lambda: not self.open)

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        self.connected += 1
        self.open += 1
        self.most = max(self.open, self.most)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await self.behave(self.heads[-1], reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.open -= 1


class FakeDial(Dial):
    """Opens a new channel each time, one that only listens; `order` is what befell them: o for opened, c for closed."""

    def __init__(
        self, url: str, *, interval: float = INTERVAL, headers: Headers = AUTHORIZED, **options: object
    ) -> None:
        super().__init__(url, interval=interval, headers=headers, **options)
        self.channels: list[FakeChannel] = []
        self.order = ""
        self.make: Callable[[], FakeChannel] = lambda: FakeChannel(lambda _: [])

    @property
    def channel(self) -> FakeChannel:
        """The newest."""
        return self.channels[-1]

    def open(self) -> Channel:
        channel = self.make()
        opened, closed = channel.opened, channel.closed

        def note_opened(now: float) -> None:
            self.order += "o"
            opened(now)

        def note_closed(code: int, now: float) -> None:
            self.order += "c"
            closed(code, now)

        channel.opened, channel.closed = note_opened, note_closed
        self.channels.append(channel)
        return channel


@dataclass
class Stage:
    """A dial, the dialler that keeps it open, and the engine."""

    dial: FakeDial
    dialing: Dialing
    engine: Engine
    events: list[Event] = field(default_factory=list)

    async def opens(self, count: int = 1) -> FakeChannel:
        """Wait until so many channels have begun in all; return the newest."""
        await until(lambda: self.dial.order.count("o") >= count)
        return self.dial.channel


@contextlib.asynccontextmanager
async def dialled(
    url: str, *, within: float = 5.0, timeouts: Timeouts | None = None, websocket: WebSocketSettings | None = None,
    **options: object,
) -> AsyncIterator[Stage]:  # fmt: skip
    """Keep a WebSocket open; in the end each channel must have been told so, once, and nothing of it may be left."""
    before = asyncio.all_tasks()
    engine = App(timeouts=timeouts or Timeouts(linger=0.1), websocket=websocket).engine(asyncio.get_running_loop())
    dialing = Dialing(engine, within=within)
    stage = Stage(FakeDial(url, **options), dialing, engine)
    dialing.add(stage.dial, stage.events.append)
    dialing.start()
    try:
        yield stage
    finally:
        await dialing.aclose()
        await engine.close()
        await until(lambda: not engine.connections)
        assert not engine._dialled
        assert len(engine.wheel) == 0
        assert stage.dial.order == "oc" * stage.dial.order.count("o")
        assert all(channel.on_ready is None for channel in stage.dial.channels)
        assert {task for task in asyncio.all_tasks() - before if task.get_coro().__name__ == "_keep_open"} == set()


def url_of(port: int, host: str = "127.0.0.1", scheme: str = "ws") -> str:
    return f"{scheme}://{host}:{port}{TARGET}"


@contextlib.asynccontextmanager
async def honest(
    peer: Callable[[ServerConnection], Awaitable[None]], host: str = "127.0.0.1", scheme: str = "ws", **options: object
) -> AsyncIterator[str]:
    """Serve with the library; give the URL."""
    async with serve(peer, "127.0.0.1", 0, **options) as server:
        yield url_of(server.sockets[0].getsockname()[1], host, scheme)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def stay(reader: Reader) -> None:
    """Read till the client closes."""
    while await reader.read(65536):
        pass


def saying(*pieces: bytes, until_left: bool = False) -> Behaviour:
    """Accept, with this right behind; then close, or stay till the client does."""

    async def behave(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(switching(head) + b"".join(pieces))
        if until_left:
            await stay(reader)

    return behave


async def stay_silent(head: bytes, reader: Reader, writer: Writer) -> None:
    del head, writer
    await stay(reader)


async def reset(writer: Writer) -> None:
    """Have the kernel say that the connection is broken."""
    await writer.drain()
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def run(main: Coroutine[object, object, None], new_loop: NewLoop = asyncio.new_event_loop) -> None:
    """Run this in time."""

    async def in_time() -> None:
        async with asyncio.timeout(20):
            await main

    run_on(new_loop, in_time())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the operator is told by default; nothing that was logged is a secret."""
    assert "SECRET" not in caplog.text
    assert TARGET[:8] not in caplog.text
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

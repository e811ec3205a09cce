"""A protocol that sends one region for each line it gets, as a server's would, and clients that read it or do not."""

import asyncio
import contextlib
import functools
import importlib.util
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import cast

import pytest
import trustme
from fake_endpoint import until

from rawbot.aio.files.sendfile import RegionSender
from rawbot.exchange import FileRegion

HEAD = b"head\r\n\r\n"
LARGE = 4 * 1024 * 1024
"""More than all buffers between server and client hold."""
BUFFER = 64 * 1024
"""Of each socket, so that a client that does not read is noticed soon."""

WAYS = ("kernel", "without", "tls", *(("uvloop",) if importlib.util.find_spec("uvloop") else ()))
"""On a plain connection; without `os.sendfile`; under TLS; on a loop that has no sendfile, where it is installed."""

_CA = trustme.CA()
_SERVER, _CLIENT = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
_CA.issue_cert("localhost").configure_cert(_SERVER)
_CA.configure_trust(_CLIENT)


class Door(asyncio.Protocol):
    """Keeps to what `RegionSender` asks of a protocol, and remembers what happened."""

    def __init__(self, region: Callable[[], FileRegion], stall: float) -> None:
        self.make_region = region
        self.stall = stall
        self.head = HEAD
        self.sender: RegionSender | None = None
        self.region: FileRegion | None = None
        self.ends: list[bool] = []
        self.data = b""
        self.paused = False
        self.made = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.made = True

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.advance()

    def advance(self) -> None:
        if self.sender is None and b"\n" in self.data and not self.lost:
            self.data = self.data.partition(b"\n")[2]
            self.region = self.make_region()
            self.sender = RegionSender(
                asyncio.get_running_loop(), self.transport, self.region, stall=self.stall, on_end=self.ended
            )
            self.sender.start(self.head)

    def ended(self, sent: bool) -> None:  # noqa: FBT001 - the shape of `on_end`
        assert self.region is not None
        assert self.region.file.closed
        assert not (sent and self.paused)
        self.ends.append(sent)
        self.sender = None
        if sent:
            self.advance()

    def pause_writing(self) -> None:
        self.paused = True
        if self.sender is not None:
            self.sender.pause_writing()

    def resume_writing(self) -> None:
        self.paused = False
        if self.sender is not None:
            self.sender.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why changes nothing
        self.lost = True
        self.paused = False
        if self.sender is not None:
            self.sender.abort()


class Stage:
    """A server of `Door`s, in one of the `WAYS`; `door` is that of the last connection."""

    def __init__(self, way: str, region: Callable[[], FileRegion], stall: float) -> None:
        self.way = way
        self.region = region
        self.stall = stall
        self.doors: list[Door] = []
        self.port = 0

    @property
    def door(self) -> Door:
        return self.doors[-1]

    def make_door(self) -> Door:
        self.doors.append(Door(self.region, self.stall))
        return self.doors[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; what is not read stays with the server."""
        expected = len(self.doors) + 1
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        secure = {"ssl": _CLIENT, "server_hostname": "localhost"} if self.way == "tls" else {}
        reader, writer = await asyncio.open_connection(sock=client, limit=BUFFER, **secure)
        await until(lambda: len(self.doors) == expected and self.door.made)
        return reader, writer


@contextlib.asynccontextmanager
async def staged(way: str, region: Callable[[], FileRegion], *, stall: float = 30.0) -> AsyncIterator[Stage]:
    """Serve; afterwards nothing may be watched, and the loop must have had nothing to complain about."""
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    stage = Stage(way, region, stall)
    server = await loop.create_server(stage.make_door, "127.0.0.1", 0, ssl=_SERVER if way == "tls" else None)
    stage.port = server.sockets[0].getsockname()[1]
    try:
        yield stage
    finally:
        server.close()
        for door in stage.doors:
            if door.sender is not None:
                door.sender.abort()
            elif not door.lost:
                door.transport.abort()
        await until(lambda: all(door.lost for door in stage.doors))
        await server.wait_closed()
        assert complaints == []


def run(way: str, main: Coroutine[object, object, None]) -> None:
    """Run on the loop and in the surroundings that belong to this way, not for ever."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "without":
            patch.delattr(os, "sendfile")
        with asyncio.Runner(loop_factory=_uvloop if way == "uvloop" else None) as runner:
            runner.run(asyncio.wait_for(main, 20))


def _uvloop() -> asyncio.AbstractEventLoop:
    return importlib.import_module("uvloop").new_event_loop()  # type: ignore[no-any-return]  # it is optional


if "uvloop" in WAYS:
    with asyncio.Runner(loop_factory=_uvloop) as _first:
        _first.run(asyncio.sleep(0))  # it opens two descriptors for good


def regions_of(path: Path, offset: int = 0, count: int | None = None) -> Callable[[], FileRegion]:
    """Return what opens the file for each response."""

    def make() -> FileRegion:
        size = path.stat().st_size - offset if count is None else count
        return FileRegion(path.open("rb", buffering=0), offset, size)

    return make


async def leave(*writers: asyncio.StreamWriter) -> None:
    """Close at once, whatever is unread, and whatever the other side did."""
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection as a crashed client's system does."""
    raw = writer.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await leave(writer)


@functools.cache
def pattern(size: int) -> bytes:
    """Return bytes of which no two pages are the same."""
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


async def stuck(stage: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a file and read nothing of it, until the server can write no more."""
    reader, writer = await stage.connect()
    writer.write(b"\n")
    await until(lambda: stage.door.sender)
    moved = -1.0
    while moved != stage.door.sender._moved_at:
        moved = stage.door.sender._moved_at
        await asyncio.sleep(0.05)
    return reader, writer

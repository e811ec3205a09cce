"""One connection of an abuser's: a bare socket, with what came of it counted. Nothing here knows good manners.

Reading and writing are separate and neither happens by itself, as it would with asyncio's streams: not to read is one
of the worst things that a client can do.
"""

import asyncio
import contextlib
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.traffic import Callback

CLOSED, RESET, LEFT, KEPT, REFUSED = "closed", "reset", "left", "kept", "refused"
"""How a connection ended: by the server in good order or with a reset, by its client, not at all; or never began.

Those that take a byte now and then hear of no end as long as others wait before it: only the server knows it then.
"""

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ")
_STATUS_SIZE = len(b"HTTP/1.1 200 ")
_PIECE = 64 * 1024
_RESETTING = struct.pack("ii", 1, 0)
_GONE = (6, 7, 8, 9, 11)  # TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK and CLOSING in Linux's tcp_states.h
_LOOKS_EVERY = 0.05


@dataclass(slots=True)
class Tally:
    """What all connections of one kind came to."""

    connections: int = 0
    sent: int = 0
    """Bytes, as is what was received."""
    received: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds that a connection lasted at most."""

    def add(self, other: "Tally") -> None:
        """Count others of the same kind, too."""
        self.connections += other.connections
        self.sent += other.sent
        self.received += other.received
        self.statuses += other.statuses
        self.ends += other.ends
        self.longest = max(self.longest, other.longest)


class Materials:
    """What abusers go by: `nonsense` to be refused, what WeCom sent once, and how many times slower to drip."""

    __slots__ = ("nonsense", "recorded", "slowness")

    def __init__(self, nonsense: Sequence[bytes], recorded: Sequence[Callback], slowness: float) -> None:
        self.nonsense = nonsense
        self.recorded = recorded
        self.slowness = slowness


class Link:
    """One connection. Everything raises `OSError` when the server has reset it."""

    __slots__ = ("_loop", "_sock", "_tail", "_tally", "ended", "materials")

    def __init__(self, sock: socket.socket, tally: Tally, materials: Materials) -> None:
        self.ended = LEFT
        self.materials = materials
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._tail = b""
        self._tally = tally

    async def send(self, data: bytes) -> None:
        """Send all of it, and read nothing meanwhile."""
        with memoryview(data) as view:
            for start in range(0, len(view), _PIECE):
                piece = view[start : start + _PIECE]
                await self._loop.sock_sendall(self._sock, piece)
                self._tally.sent += len(piece)

    async def read(self, size: int = _PIECE) -> bytes:
        """Return what comes next, b"" at the end."""
        data = await self._loop.sock_recv(self._sock, size)
        if not data:
            self.ended = CLOSED
        self._tally.received += len(data)
        seen = self._tail + data
        self._tally.statuses.update(map(int, _STATUS.findall(seen)))
        self._tail = seen[-_STATUS_SIZE + 1 :]
        return data

    async def read_answer(self) -> bytes:
        """Return the next answer, which has a length. Raises `ConnectionError` when none comes."""
        answer = b""
        while True:
            head, end, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: ([0-9]+)", head)
            if end and (length is None or len(body) >= int(length[1])):
                return answer
            data = await self.read()
            if not data:
                raise ConnectionError("no answer")
            answer += data

    async def outstay(self) -> None:
        """Read until the server has closed."""
        while await self.read():
            pass

    async def talk(self, *pieces: bytes, last: bool = False) -> None:
        """Send the pieces, with our side closed behind the `last`, and read until the server has closed."""
        reading = asyncio.create_task(self.outstay())
        try:
            with contextlib.suppress(ConnectionError):  # it was refused on the way: reading tells
                for piece in pieces:
                    await self.send(piece)
                if last:
                    self.say_no_more()
            await reading
        finally:
            await _end(reading)

    async def drip(self, data: bytes, chance: random.Random) -> None:
        """Send byte by byte, 10 to 50 a second, whatever the server says, until it has reset the connection."""
        slowness = self.materials.slowness
        reading = asyncio.create_task(self.outstay())
        try:
            for at in range(len(data)):
                await self.send(data[at : at + 1])
                await asyncio.sleep(slowness * chance.uniform(0.02, 0.1))
        finally:
            await _end(reading)

    async def sip(self, chance: random.Random) -> None:
        """Read a byte now and then, until the server has ended it."""
        while not self._gone():
            await self.read(1)
            await asyncio.sleep(chance.uniform(0.05, 0.2))

    async def outlast(self) -> None:
        """Read nothing until the server has ended it."""
        while not self._gone():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(_LOOKS_EVERY)

    def say_no_more(self) -> None:
        """Close our side."""
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Have closing reset the connection, so that what is under way is thrown away."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)

    def _gone(self) -> bool:
        """Ask the kernel: a byte that waits to be read would hide the end."""
        gone = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _GONE
        if gone:
            self.ended = RESET
        return gone


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has let go of the socket, whose number the next connection may get."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await task

"""A server for outgoing requests that says whatever the test wants, on a real socket, and what meets it."""

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rawbot.aio.outgoing.client import Client
from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.event import Attachment
from rawbot.wecom.media import WeComAttachment

KEY = bytes(range(32))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
LOCAL = OutgoingPolicy(allow_http=True, allow_loopback=True)
TARGET = "/file?response_code=hidden"

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Bytes that are said to every request, or a coroutine function after which the connection ends."""


class RogueServer:
    """Remembers what it was asked, and answers what it is told to."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{TARGET}"

    @contextlib.asynccontextmanager
    async def open(self, context: ssl.SSLContext | None = None) -> AsyncIterator["RogueServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                self.asked.set()
                if not isinstance(self.answer, bytes):
                    return await self.answer(writer)
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()


def response(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return response(b"", f"Location: {location}", status=f"{status} Moved")


def saying(*pieces: bytes, pause: float = 0.0) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(30)


@contextlib.asynccontextmanager
async def meeting(
    answer: Answer,
    *,
    context: ssl.SSLContext | None = None,
    policy: OutgoingPolicy | None = LOCAL,
    **options: object,
) -> AsyncIterator[tuple[RogueServer, Client]]:
    """Open a server, and a client that may go there."""
    async with RogueServer(answer).open(context) as server:
        client = Client(policy=policy, **options)
        try:
            yield server, client
        finally:
            await client.aclose()


class Recorder:
    """A decoder that changes nothing and notes the thread of each call."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def update(self, data: bytes) -> bytes:
        self.threads.append(threading.get_ident())
        return data

    def finish(self) -> bytes:
        return b""


class PlainAttachment(Attachment):
    def decoder(self) -> Recorder:
        self.recorder = Recorder()
        return self.recorder


def plain(url: str, life: float = 300.0) -> PlainAttachment:
    return PlainAttachment("image", url, expires_at=time.time() + life)


def encrypted(url: str) -> WeComAttachment:
    return WeComAttachment("image", url, key=KEY, expires_at=time.time() + 300)


def resolve_as(monkeypatch: pytest.MonkeyPatch, **hosts: list[str] | list[list[str]]) -> list[str]:
    """Let `a` in `a.example` resolve to these addresses, or to the next of several lists of them.

    Addresses resolve to themselves. Returns the list that the names asked for go to.
    """
    asked: list[str] = []

    async def getaddrinfo(loop: object, host: str, port: int, **options: object) -> list[tuple]:
        del loop, options
        asked.append(host)
        answers = hosts.get(host.removesuffix(".example"), [host])
        addresses = answers.pop(0) if isinstance(answers[0], list) else answers
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked

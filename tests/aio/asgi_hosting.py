"""The host's side of ASGI: by hand, message by message, and a real uvicorn on a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fake_endpoint import PATH, until

from rawbot.aio.asgi.app import ASGIApp, Message
from rawbot.aio.asgi.messages import Scope

WHOLE = {"type": "http.request", "body": b"", "more_body": False}
CONNECT = {"type": "websocket.connect"}

HTTP = {"type": "http", "method": "GET", "path": PATH, "headers": [(b"host", b"x")], "query_string": b""}
WEBSOCKET = {
    "type": "websocket",
    "scheme": "ws",
    "path": PATH,
    "headers": [(b"host", b"x")],
    "query_string": b"",
    "client": ("192.0.2.1", 4711),
    "subprotocols": [],
    "extensions": {"websocket.http.response": {}},
}


class Hosting:
    """A host that serves one scope. `say` is what its client does; `sent` is what the application had it send.

    It has room for so many messages; then `send` waits, as for a client that does not read, till `take` makes more.
    `fault` is what it raises when there is room, `fault_in` what `receive` raises when something comes.
    """

    def __init__(self, asgi: ASGIApp, scope: Scope, *messages: Message, room: int = 1_000_000) -> None:
        self.sent: list[Message] = []
        self.asked = 0
        self._room = asyncio.Semaphore(room)
        self.fault: Exception | None = None
        self.fault_in: Exception | None = None
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        self.say(*messages)
        self.call = asyncio.create_task(asgi(dict(scope), self._receive, self._send))

    async def _receive(self) -> Message:
        self.asked += 1
        message = await self._coming.get()
        if self.fault_in is not None:
            raise self.fault_in
        return message

    async def _send(self, message: Message) -> None:
        await self._room.acquire()
        if self.fault is not None:
            raise self.fault
        self.sent.append(message)

    def say(self, *messages: Message) -> None:
        for message in messages:
            self._coming.put_nowait(message)

    def take(self, count: int = 1) -> None:
        for _ in range(count):
            self._room.release()

    async def sends(self, count: int) -> list[Message]:
        """Wait until so many messages were sent in all; return them."""
        await until(lambda: len(self.sent) >= count)
        return self.sent

    async def end(self) -> list[Message]:
        """Wait until the application has nothing more to do; return what was sent."""
        async with asyncio.timeout(5):
            await self.call
        return self.sent


@contextlib.asynccontextmanager
async def hosted(application: object, *, lifespan: str = "off", ws: str = "none") -> AsyncIterator[int]:
    """Serve this with uvicorn on a free port."""
    config = uvicorn.Config(application, port=0, log_config=None, lifespan=lifespan, ws=ws, http="h11")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving

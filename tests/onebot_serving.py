"""A OneBot implementation on a real socket, and plain applications in front of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import ormsgpack
from fake_endpoint import connect, hang_up, read_response
from onebot_parts import Data, asking
from talking import in_time
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket

from rawbot.onebot.messages import Account, Message
from rawbot.onebot.settings import HTTP, Connection, WebSocket
from rawbot.onebot_server import OneBot, OneBotServer

JSON, MSGPACK = b"application/json", b"application/msgpack"
BOT = {"platform": "loop", "user_id": "b1"}
OTHER = {"platform": "loop", "user_id": "b2"}


def make_onebot(*connections: Connection, **options: object) -> OneBot:
    """Make an implementation with one bot and a few actions; without connections, HTTP and WebSocket on a free port."""
    settings: Data = {"platform": "loop", "version": "1.2", "bots": ["b1"]}
    places = connections or (HTTP(port=0), WebSocket(port=0))
    ob = OneBot("my-impl", connections=places, **settings | options)
    ob.gates = {}

    @ob.action("send_message")
    def send_message(detail_type: str, message: Message, user_id: str = "") -> Data:
        return {"message_id": "m1", "time": 1.0, "said": [detail_type, len(message), user_id]}

    @ob.action("who")
    def who(bot: Account) -> str:
        return bot.user_id

    @ob.action("wait")
    async def wait(name: str) -> str:
        gate = ob.gates.setdefault(name, asyncio.Event())
        await gate.wait()
        return name

    return ob


Talk = Callable[[OneBot, OneBotServer], Awaitable[None]]


def serve(talk: Talk, *connections: Connection, **options: object) -> None:
    """Serve an implementation and talk to it."""
    ob = make_onebot(*connections, **options)

    async def run() -> None:
        async with ob.serve() as server:
            await talk(ob, server)

    in_time(run())


def pack(value: object, content_type: bytes = JSON) -> bytes:
    return ormsgpack.packb(value) if content_type == MSGPACK else json.dumps(value).encode()


def unpack(data: bytes | str, content_type: bytes = JSON) -> Data:
    return ormsgpack.unpackb(data) if content_type == MSGPACK else json.loads(data)


class Http:
    """One connection of a client that knows nothing but HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await connect(self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await hang_up(self.writer)

    def send(
        self,
        body: bytes,
        *fields: bytes,
        content_type: bytes | None = JSON,
        method: bytes = b"POST",
        target: bytes = b"/",
    ) -> None:
        """Send a request."""
        lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: x", *fields, b"Content-Length: %d" % len(body)]
        if content_type is not None:
            lines.append(b"Content-Type: " + content_type)
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    async def receive(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, fields and body of an answer."""
        return await read_response(self.reader)

    async def ask(self, action: str, content_type: bytes = JSON, **params: object) -> Data:
        """Carry out an action; return the response."""
        self.send(pack(asking(action, **params), content_type), content_type=content_type)
        status, fields, body = await self.receive()
        assert (status, fields[b"content-type"]) == (200, content_type)
        return unpack(body, content_type)


@contextlib.asynccontextmanager
async def websocket(port: int, token: str | None = None, **options: object) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket to an implementation; leave out how it is greeted."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with open_websocket(f"ws://127.0.0.1:{port}/", additional_headers=headers, max_size=None, **options) as ws:
        for name in ("connect", "status_update"):
            assert (await hear(ws))["detail_type"] == name
        yield ws


async def hear(ws: ClientConnection) -> Data:
    """Return the next message in JSON."""
    told = await ws.recv()
    assert isinstance(told, str)
    return json.loads(told)


async def ask(ws: ClientConnection, value: Data | bytes | str, *, binary: bool = False) -> Data:
    """Send what may be a request; return the response, which comes in the same kind of frame."""
    if isinstance(value, dict):
        packed = pack(value, MSGPACK if binary else JSON)
        value = packed if binary else packed.decode()
    await ws.send(value)
    told = await ws.recv()
    assert isinstance(told, bytes) is isinstance(value, bytes)
    return unpack(told, MSGPACK if isinstance(told, bytes) else JSON)

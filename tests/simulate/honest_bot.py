"""A bot server of a few lines, to try the simulator on: it does what its script says, right or wrong.

It shares the crypto with rawbot, which has vectors of its own, and nothing else.
"""

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

from rawbot.wecom.crypto import WeComCrypto

TOKEN = "honestToken"
KEY = "HonestBotKey0123456789abcdefghijklmnopqrstu"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listen(handle: Handle, *, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve each connection with `handle` and give the base URL."""
    tasks = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        tasks.add(asyncio.current_task())
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await handle(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl_context)
    try:
        scheme = "http" if ssl_context is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes, bytes]:
    """Return method, target, header section and body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return method, target, head, await reader.readexactly(length)


def response(status: int, body: bytes, *fields: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Raw(NamedTuple):
    """An answer as it goes out, not encrypted."""

    body: bytes = b""
    status: int = 200


HANG_UP = Raw(status=0)

Answer = Callable[[dict], dict | Raw | Awaitable[dict | Raw]]
Echo = Callable[[bytes, bytes], Raw]
Mangle = Callable[[dict], object]


class HonestBot:
    """`answer(message)` gives a dict to be encrypted, or `Raw`; it may be a coroutine function.

    `echo(text, echostr)` answers a URL verification, `mangle(envelope)` may spoil the envelope of a reply.
    """

    def __init__(self, answer: Answer | None = None, *, echo: Echo | None = None, mangle: Mangle | None = None) -> None:
        self.crypto = WeComCrypto(TOKEN, KEY)
        self.received: list[dict] = []
        self.envelopes: list[dict] = []
        self.connections = 0
        self._answer = answer
        self._echo = echo
        self._mangle = mangle

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        async with listen(self._handle) as base:
            yield base + "/callback?bot=1"

    def messages(self, msgtype: str) -> list[dict]:
        return [message for message in self.received if message["msgtype"] == msgtype]

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.connections += 1
        while True:
            method, target, _, body = await read_request(reader)
            query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
            assert query["bot"] == "1"
            encrypted = (query["echostr"] if method == "GET" else orjson.loads(body)["encrypt"]).encode()
            assert self.crypto.verify(*(query[n].encode() for n in ("msg_signature", "timestamp", "nonce")), encrypted)
            plaintext = self.crypto.decrypt(encrypted)
            if method == "GET":
                said = self._echo(plaintext, encrypted)
            else:
                self.envelopes.append(query)
                said = self._answer(self._remember(plaintext))
            if inspect.isawaitable(said):
                said = await said
            if said is HANG_UP:
                return
            raw = said if isinstance(said, Raw) else Raw(self._seal(said, query["nonce"]))
            writer.write(response(raw.status, raw.body))

    def _remember(self, plaintext: bytes) -> dict:
        message = orjson.loads(plaintext)
        self.received.append(message)
        return message

    def _seal(self, reply: dict, nonce: str) -> bytes:
        return seal(self.crypto, orjson.dumps(reply), nonce, mangle=self._mangle)


def seal(crypto: WeComCrypto, plaintext: bytes, nonce: str, *, mangle: Mangle | None = None) -> bytes:
    """Return the envelope of doc 101033, spoilt by `mangle`."""
    encrypted = crypto.encrypt(plaintext)
    envelope = {
        "encrypt": encrypted.decode(),
        "msgsignature": crypto.sign(b"1767225600", nonce.encode(), encrypted),
        "timestamp": 1767225600,
        "nonce": nonce,
    }
    if mangle is not None:
        mangle(envelope)
    return orjson.dumps(envelope)


def stream(content: str, *, finish: bool = False, stream_id: str = "S1", **more: object) -> dict:
    return {"msgtype": "stream", "stream": {"id": stream_id, "finish": finish, "content": content, **more}}

"""What WeCom serves to bots: the files that users sent, and the response_urls. On 127.0.0.1, at a free port.

Layer 3 (simulate). One small HTTP server, asyncio streams and h11. It hands on what was posted and serves bytes as they
were given: encrypting files and judging active replies is done by its owner. Source:
developer.work.weixin.qq.com/document/path/100719 (files), 101138 (response_url).
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

import h11
import orjson

from rawbot.errors import StateError
from rawbot.exchange import Response
from rawbot.expiring import ExpiringDict

Receive = Callable[[bytes], tuple[int, str]]
"""Takes what was posted to a response_url; returns errcode and errmsg."""

UNKNOWN_CODE = 40029
"""errcode for a response_code that was never given out, or long ago: the platform's general "invalid code"."""

MAX_POST = 1024 * 1024
"""Bytes of an active reply: 20,480 bytes of text, each of them escaped, and a card fit in easily."""
MAX_ENTRIES = 20_000
"""How many files and how many response_urls are kept; the oldest go first."""

_CHUNK = 65536
_NOT_FOUND = Response(404, b"no such file, or no longer\n")


class _Served(NamedTuple):
    data: bytes
    name: str


class WeComServices:
    """A loopback server, to be started and stopped by its owner.

    Files are served for `media_lifetime` seconds, response_urls known for `response_url_lifetime`.
    """

    __slots__ = ("_base", "_files", "_receivers", "_server", "_tasks")

    def __init__(self, *, media_lifetime: float, response_url_lifetime: float) -> None:
        self._files: ExpiringDict[str, _Served] = ExpiringDict(media_lifetime, MAX_ENTRIES)
        self._receivers: ExpiringDict[str, Receive] = ExpiringDict(response_url_lifetime, MAX_ENTRIES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._base = ""

    async def start(self) -> None:
        """Listen on 127.0.0.1 at a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._base = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    @property
    def base_url(self) -> str:
        """Return `http://127.0.0.1:port`. Raises `StateError` when it is not running."""
        if self._server is None:
            raise StateError("the platform serves nothing yet: use it as `async with platform:`")
        return self._base

    def add_file(self, data: bytes, *, name: str) -> str:
        """Serve these bytes; return the URL. As the platform's do, it holds an escape that must not be decoded."""
        target = f"/{secrets.token_hex(8)}?sign={quote('+/' + secrets.token_urlsafe(16), safe='')}"
        url = self.base_url + target
        self._files.set(target, _Served(data, name), self._now())
        return url

    def add_response_url(self, receive: Receive) -> str:
        """Return a new response_url; what is posted there goes to `receive`."""
        target = f"/cgi-bin/aibot/response?response_code={secrets.token_urlsafe(24)}"
        url = self.base_url + target
        self._receivers.set(target, receive, self._now())
        return url

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve_to_the_end(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_to_the_end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(h11.RemoteProtocolError, OSError):
                await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other, for as long as the peer keeps the connection."""
        http = h11.Connection(h11.SERVER)
        while (received := await _read_request(http, reader)) is not None:
            response = self._answer(*received)
            headers = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
            head = h11.Response(status_code=response.status, headers=[*headers, *response.headers])
            pieces = [http.send(e) or b"" for e in (head, h11.Data(data=response.body), h11.EndOfMessage())]
            writer.write(b"".join(pieces))
            await writer.drain()
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    def _answer(self, method: bytes, target: str, body: bytes | None) -> Response:
        if body is None:
            return Response(413, b"too large\n", headers=[(b"connection", b"close")])
        if method == b"POST":
            receive = self._receivers.get(target, self._now())
            code, message = (UNKNOWN_CODE, "invalid response_code") if receive is None else receive(body)
            return Response(200, orjson.dumps({"errcode": code, "errmsg": message}), b"application/json")
        served = self._files.get(target, self._now()) if method == b"GET" else None
        if served is None:
            return _NOT_FOUND
        disposition = f"attachment; filename=\"file\"; filename*=UTF-8''{quote(served.name, safe='')}".encode()
        headers = [(b"content-disposition", disposition)]
        return Response(200, served.data, b"application/octet-stream", headers)


async def _read_request(http: h11.Connection, reader: asyncio.StreamReader) -> tuple[bytes, str, bytes | None] | None:
    """Return method, target and body of the next request, None for the body if it is too large; None at the end."""
    request: h11.Request | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        if request is not None and (len(body) > MAX_POST or isinstance(event, h11.EndOfMessage)):
            return request.method, request.target.decode("latin-1"), body if len(body) <= MAX_POST else None
        if isinstance(event, h11.ConnectionClosed):
            return None

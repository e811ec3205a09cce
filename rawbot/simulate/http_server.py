"""A small HTTP/1.1 server on loopback, for the platforms' side: each request is answered by one coroutine function.

Layer 3 (simulate). asyncio streams carry the bytes, h11 reads and writes them. It knows no platform.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11

from rawbot.errors import StateError
from rawbot.exchange import Request, Response

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request: VK's photos have up to 50 MB."""

_CHUNK = 65536

Answerer = Callable[[Request], Awaitable[Response | None]]
"""Makes the response; None hangs up without one."""


class HttpServer:
    """A server to be started and stopped by its owner. Several requests are answered at once, one per connection."""

    __slots__ = ("_answer", "_base", "_max_body", "_server", "_tasks")

    def __init__(self, answer: Answerer, *, max_body: int = MAX_BODY) -> None:
        self._answer = answer
        self._max_body = max_body
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._base = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Listen, at a free port if none is given. Raises OSError when that cannot be."""
        self._server = await asyncio.start_server(self._accept, host, port, ssl=ssl_context)
        scheme = "http" if ssl_context is None else "https"
        self._base = f"{scheme}://{host}:{self._server.sockets[0].getsockname()[1]}"

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
        """Return `http://host:port`. Raises `StateError` when it is not running."""
        if self._server is None:
            raise StateError("the platform serves nothing yet: use it as `async with platform:`")
        return self._base

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
        while (request := await self._read(http, reader, writer)) is not None:
            response = Response(413, b"too large\n") if request.body is _TOO_LARGE else await self._answer(request)
            if response is None:
                return
            writer.write(_encode(http, response, close=request.body is _TOO_LARGE))
            await writer.drain()
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _read(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        """Return the next request, its body `_TOO_LARGE` if it is; None at the end of the connection."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                if http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                    writer.write(http.send(go_on) or b"")
                http.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                return None
            if head is not None and (len(body) > self._max_body or isinstance(event, h11.EndOfMessage)):
                return _request(head, bytes(body) if len(body) <= self._max_body else _TOO_LARGE)


_TOO_LARGE = bytes(bytearray(b"too large"))
"""Stands for a body that was not read, by its identity."""


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    headers = [(bytes(name), bytes(value)) for name, value in head.headers]
    return Request(head.method.decode("ascii"), path, query, headers, body)


def _encode(http: h11.Connection, response: Response, *, close: bool) -> bytes:
    headers = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
    if close:
        headers.append((b"connection", b"close"))
    head = h11.Response(status_code=response.status, headers=[*headers, *response.headers])
    return b"".join(http.send(event) or b"" for event in (head, h11.Data(data=response.body), h11.EndOfMessage()))

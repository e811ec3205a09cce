"""The whole app inside any ASGI server or framework: uvicorn, hypercorn, Starlette, FastAPI.

Engine room. Source: asgi.readthedocs.io, HTTP and lifespan specification, version 2.x. The host's server parses HTTP;
endpoints, bots, streams and time-outs are the same as on our own protocol.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import time

from rawbot.aio.app import App
from rawbot.aio.asgi_messages import Body, Message, Scope, decode_request, encode_response
from rawbot.aio.engine import Engine
from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import Pending, Response, Upgrade
from rawbot.http.responses import UPGRADE_REQUIRED, refusal

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ASGIApp:
    """`app` as an ASGI application. Mounted below a path, its own paths begin behind it.

    The engine starts with the host's lifespan, or at the first request where the host has none for us (a mounted
    application); then end it with `await asgi.aclose()`.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise StateError(f"rawbot does not serve ASGI scopes of type {scope['type']!r}")

    async def aclose(self) -> None:
        """Let handlers end, then stop."""
        if self._engine is not None:
            await self._app.aclose()
            self._engine = None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> Engine:
        async with self._starting:
            if self._engine is None:
                await self._app.startup()
                self._engine = self._app.engine(asyncio.get_running_loop())
        return self._engine

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = await self._start()
        request = decode_request(scope)
        try:
            body = await _read_body(receive, scope, engine.body_limit(request))
        except ProtocolError as error:
            await _respond(send, refusal(error))
            return
        if body is None:
            return
        request.body = body
        exchange, door = engine.receive(request, time())
        if isinstance(exchange, Upgrade):
            await _respond(send, UPGRADE_REQUIRED)
            return
        if exchange.event is not None and door is not None:
            door.dispatch(exchange.event)
        response = await _await_bot(engine, exchange, receive) if isinstance(exchange, Pending) else exchange.response
        if response is not None:
            await _respond(send, response)


async def _await_bot(engine: Engine, pending: Pending, receive: Receive) -> Response | None:
    """Return the response, or None when the client went away before it was there."""
    ready = asyncio.Event()
    pending.attach(ready.set)
    timer = engine.loop.call_later(pending.deadline - time(), ready.set)
    watcher = engine.loop.create_task(_watch(receive, pending, ready))
    try:
        await ready.wait()
    except asyncio.CancelledError:
        pending.abandon()
        raise
    finally:
        timer.cancel()
        watcher.cancel()
    return None if pending.over else engine.answer(pending, time())


async def _watch(receive: Receive, pending: Pending, ready: asyncio.Event) -> None:
    """Forget the request when the client goes away, which a host tells only to those who ask."""
    with contextlib.suppress(Exception):  # a host that fails here tells nothing
        if (await receive())["type"] == "http.disconnect":
            pending.abandon()
            ready.set()


async def _read_body(receive: Receive, scope: Scope, limit: int) -> bytes | None:
    """Return the body, or None when the client went away. Raises `LimitError`, before reading where it can."""
    body = Body(scope, limit)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if (whole := body.receive(message)) is not None:
            return whole


async def _respond(send: Send, response: Response) -> None:
    for message in encode_response(response):
        await send(message)

"""The whole app inside any ASGI server or framework: uvicorn, hypercorn, Starlette, FastAPI.

Engine room. Source: asgi.readthedocs.io, HTTP and lifespan specification, version 2.x. The host's server parses HTTP;
endpoints, bots, streams and time-outs are the same as on our own protocol.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import time
from typing import Any

from rawbot.aio.app import App
from rawbot.aio.engine import Engine
from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Pending, Request, Response
from rawbot.http.responses import refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
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
                self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> Engine:
        if self._engine is None:
            self._engine = self._app.engine(asyncio.get_running_loop())
        return self._engine

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = self._start()
        try:
            body = await _read_body(receive, scope["headers"], engine.limits.max_body_size)
        except ProtocolError as error:
            await _respond(send, refusal(error))
            return
        if body is None:
            return
        client = scope.get("client")
        request = Request(
            scope["method"],
            _path(scope),
            scope.get("query_string", b"").decode("latin-1"),
            [(bytes(name), bytes(value)) for name, value in scope["headers"]],
            body,
            scope.get("http_version", "1.1"),
            client[0] if client else "",
        )
        exchange, dispatch = engine.receive(request, time())
        if exchange.event is not None and dispatch is not None:
            engine.loop.call_soon(dispatch, exchange.event)
        if isinstance(exchange, Pending):
            await _respond(send, await _await_bot(engine, exchange))
        else:
            await _respond(send, exchange.response)


async def _await_bot(engine: Engine, pending: Pending) -> Response:
    ready = engine.loop.create_future()
    pending.attach(lambda: None if ready.done() else ready.set_result(None))
    timer = engine.loop.call_later(pending.deadline - time(), lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    except asyncio.CancelledError:
        pending.abandon()
        raise
    finally:
        timer.cancel()
    return pending.answer(time())


async def _read_body(receive: Receive, headers: list[tuple[bytes, bytes]], limit: int) -> bytes | None:
    """Return the body, or None when the client went away. Raises `LimitError`, before reading where it can."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise LimitError("the body is too long", status=413)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise LimitError("the body is too long", status=413)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _respond(send: Send, response: Response) -> None:
    headers = [(b"content-length", b"%d" % len(response.body))]
    if response.body:
        headers.append((b"content-type", response.content_type))
    headers.extend(response.headers)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _path(scope: Scope) -> str:
    """Return the path below the mount point. `path` holds the root_path in newer hosts and not in older ones."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope["path"]
    root = scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return str(path)

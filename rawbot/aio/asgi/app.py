"""The whole app inside any ASGI server or framework: uvicorn, hypercorn, Starlette, FastAPI.

Engine room. Source: asgi.readthedocs.io, HTTP, WebSocket and lifespan specification, version 2.x. The host's server
speaks HTTP and WebSocket; endpoints, bots, streams, limits and time-outs are the same as on our own protocol, as far as
they concern whole requests and messages.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from rawbot.aio.app import App
from rawbot.aio.asgi.messages import Message, Receive, Scope, Send, Visit, encode_part, too_slow
from rawbot.aio.asgi.websocket import HostedWebSocket, make_websocket
from rawbot.aio.engine import Engine
from rawbot.aio.files.sendfile import read_slices
from rawbot.aio.flow import LONGEST_WAIT
from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import Answer, FileRegion, Pending, Response, Upgrade
from rawbot.http.responses import SWITCHING, UPGRADE_REQUIRED


class ASGIApp:
    """`app` as an ASGI application. Mounted below a path, its own paths begin behind it.

    WebSockets need a host that speaks them. Their pings, compression and handshake keys are its affair.

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
            await _Conversation(await self._start(), scope, receive, send).serve()
        elif scope["type"] == "websocket":
            if (await receive())["type"] == "websocket.connect":
                await _Conversation(await self._start(), scope, receive, send).open()
        else:
            raise StateError(f"rawbot does not serve ASGI scopes of type {scope['type']!r}")

    async def aclose(self) -> None:
        """Let handlers end, close WebSockets (1001), then stop."""
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


class _Conversation:
    """What is said within one scope of a host's."""

    __slots__ = ("_coming", "_engine", "_visit")

    def __init__(self, engine: Engine, scope: Scope, receive: Receive, send: Send) -> None:
        self._engine = engine
        self._visit = Visit(engine, scope, receive, send)
        self._coming: asyncio.Future[Message] | None = None

    async def serve(self) -> None:
        """Answer a request, unless its client goes away."""
        visit = self._visit
        try:
            visit.check()
            async with asyncio.timeout(self._engine.timeouts.body):
                body = await visit.read_body()
        except (ProtocolError, TimeoutError) as error:
            await visit.refuse(error if isinstance(error, ProtocolError) else too_slow(visit.scope))
            return
        if body is None:
            return
        exchange = visit.route(body)
        if isinstance(exchange, Upgrade):
            await self._respond(UPGRADE_REQUIRED)
        else:
            await self._answer(exchange)

    async def open(self) -> None:
        """Answer a handshake: let it become a WebSocket, and be one to its end, or refuse it."""
        visit, ready, limit = self._visit, asyncio.Event(), asyncio.timeout(None)
        try:
            visit.check()
            exchange = visit.route()
            if not isinstance(exchange, Upgrade):
                await self._answer(exchange)
                return
            made = make_websocket(self._engine, visit, exchange, wake=ready.set, limit=limit)
        except ProtocolError as error:
            await visit.refuse(error)
            return
        if isinstance(made, Response):
            await self._respond(made)
        else:
            await self._converse(made, ready, limit)

    async def _answer(self, exchange: Answer | Pending) -> None:
        response = await self._await_bot(exchange) if isinstance(exchange, Pending) else exchange.response
        if response is not None:
            await self._respond(response)

    async def _await_bot(self, pending: Pending) -> Response | None:
        """Return the response, or None when the client went away before it was there."""
        engine, ready = self._engine, asyncio.Event()
        pending.attach(ready.set)
        timer = engine.loop.call_later(min(pending.deadline - engine.now(), LONGEST_WAIT), ready.set)
        engine.pending += 1
        if engine.pending > engine.capacity.max_pending:
            ready.set()  # it is answered as it is

        def forget() -> None:
            pending.abandon()
            ready.set()

        try:
            with _watched(self._visit.receive, forget):
                await ready.wait()
        except asyncio.CancelledError:
            pending.abandon()
            raise
        finally:
            engine.pending -= 1
            timer.cancel()
        return None if pending.over else engine.answer(pending, engine.now())

    async def _respond(self, response: Response) -> None:
        """Answer, and close the response's file in any case."""
        try:
            region = await self._visit.answer(response)
            if region is not None:
                await self._send_region(region)
        finally:
            if response.region is not None:
                response.region.close()

    async def _send_region(self, region: FileRegion) -> None:
        """Send a file in slices, each when the host has taken the one before.

        Whatever goes wrong is raised, since the length that was promised can be corrected in no other way: a host whose
        application raises in the midst of a response breaks the connection. It goes wrong, too, when a client takes a
        slice in no less than the time-out. Reading makes the loop wait, for the reason that `sendfile` gives.
        """
        left, gone = region.count, asyncio.Event()
        with _watched(self._visit.receive, gone.set):  # some hosts let all of it be sent to nobody
            for data in read_slices(region):
                left -= len(data)
                async with asyncio.timeout(self._engine.timeouts.write):
                    await self._visit.send(encode_part(self._visit.scope, data, more=left > 0))
                await asyncio.sleep(0)  # a host that has room gives nobody else a turn
                if gone.is_set():
                    return

    # A WebSocket

    async def _converse(self, websocket: HostedWebSocket, ready: asyncio.Event, limit: asyncio.Timeout) -> None:
        """Be a WebSocket to its end."""
        self._visit.tell(SWITCHING)
        try:
            async with limit:
                websocket.open()
                while not websocket.over:
                    await self._advance(websocket, ready)
        except TimeoutError:
            if not limit.expired():  # else it was given up: what is left of it, the host ends
                raise
        finally:
            websocket.finish()
            if self._coming is not None:
                self._coming.cancel()

    async def _advance(self, websocket: HostedWebSocket, ready: asyncio.Event) -> None:
        """Take what came; or send what there is; or wait for either, the only time when something is asked for."""
        coming = self._coming
        if coming is not None and coming.done():
            self._coming = None
            websocket.receive(coming.result())
        elif (message := websocket.next_message()) is not None:
            try:
                await self._visit.send(message)
            except OSError:  # says the specification, 2.4, where the client is gone
                websocket.lose()
        else:
            if coming is None:
                self._coming = asyncio.ensure_future(self._visit.receive())
                self._coming.add_done_callback(partial(_note, ready))
            await ready.wait()
            ready.clear()


def _note(ready: asyncio.Event, message: asyncio.Future[Message]) -> None:
    ready.set()
    if not message.cancelled():
        message.exception()  # so it was looked at, should nobody want the message any more


@contextlib.contextmanager
def _watched(receive: Receive, on_leave: Callable[[], None]) -> Iterator[None]:
    """Be told when the client goes away, which a host tells only to those who ask."""

    async def watch() -> None:
        with contextlib.suppress(Exception):  # a host that fails here tells nothing
            if (await receive())["type"].endswith(".disconnect"):
                on_leave()

    watcher = asyncio.get_running_loop().create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()

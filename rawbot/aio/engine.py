"""One app at work on one event loop: routes requests, starts handlers, lets time pass, sends what is to be sent.

Engine room. The protocols (`HttpProtocol`, `ASGIApp`) turn bytes into requests; all that they share is here.
"""

import asyncio
import contextlib
import logging
from functools import partial
from time import time

from rawbot.aio.client import Client
from rawbot.aio.dispatcher import Dispatcher
from rawbot.aio.host import Connection, Dispatch
from rawbot.aio.routes import NOT_FOUND, Route, Routes
from rawbot.aio.settings import Timeouts
from rawbot.aio.wheel import TimerWheel
from rawbot.bot import Bot
from rawbot.errors import ProtocolError, RawbotError
from rawbot.exchange import Answer, Exchange, OutgoingRequest, Pending, Request, Response, Source
from rawbot.http.limits import Limits
from rawbot.http.responses import FAILED

log = logging.getLogger("rawbot")

TICK = 1.0
"""Seconds between two calls of `Endpoint.tick`."""

FLUSH = 1.0
"""Seconds that the last answers get to leave at shutdown before connections are aborted."""

MAX_SENDING = 16
"""Outgoing requests of one source under way at once."""

_FAILED = Answer(FAILED)


class Engine:
    """Runs routes on a loop. `close` ends it gracefully; it cannot be started again."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, routes: Routes, client: Client, *, limits: Limits, timeouts: Timeouts
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.timeouts = timeouts
        self.wheel = TimerWheel(loop)
        self.connections: set[Connection] = set()
        self.time = loop.time
        self._client = client
        self._dispatchers: dict[Bot, Dispatcher] = {}
        self._doors: dict[str, tuple[Route, Dispatch]] = {}
        self._sending: dict[Source, set[asyncio.Task[None]]] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self.closed = False
        """Whether `close` was called."""
        for route in routes:
            self._add(route)

    def start(self) -> None:
        """Let time pass from now on, and what the endpoints have to send be sent."""
        now = time()
        for route, _ in self._doors.values():
            route.endpoint.start(now)
        if self._sending and not self._client.available:
            log.warning("files and active replies need the extra 'client': pip install 'rawbot[client]'")
        for source in self._sending:
            source.enabled = self._client.available
            source.on_ready = partial(self._pump, source)
        self._tick()

    def receive(self, request: Request, now: float) -> tuple[Exchange, Dispatch | None]:
        """Route a request to its endpoint; return its exchange, and what starts the handler for its event."""
        found = self._doors.get(request.path)
        if found is None:
            return NOT_FOUND, None
        route, dispatch = found
        if request.method not in route.methods:
            return route.not_allowed, None
        try:
            exchange = route.endpoint.receive(request, now)
        except Exception:
            log.exception("the endpoint on %s failed", request.path)
            return _FAILED, None
        if isinstance(exchange, Answer) and exchange.error is not None:
            log.warning("%s refused a request: %s (%s)", request.path, exchange.error, exchange.error.code)
        return exchange, dispatch

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for, 500 when making it fails."""
        try:
            return pending.answer(now)
        except Exception:
            log.exception("an endpoint failed to make the answer that was waited for")
            return FAILED

    def note_refusal(self, error: ProtocolError) -> None:
        """Log a request that broke HTTP: scanners send many, so below the default level."""
        log.info("refused a request with %d: %s", error.status, error)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections:
            self._emptied.set()

    @property
    def busy(self) -> bool:
        """Whether handlers run, or platforms still have to fetch the end of an answer."""
        return any(d.running for d in self._dispatchers.values()) or bool(self._unsettled())

    def drain(self) -> None:
        """Take on nothing new."""
        now = time()
        for route, _ in self._doors.values():
            route.endpoint.drain(now)

    async def finish(self) -> None:
        """Let handlers end in their time, cancel the others, and let the platforms see how it ended."""
        await asyncio.gather(*(d.close(self.timeouts.graceful) for d in self._dispatchers.values()))
        deadline = self.loop.time() + self.timeouts.settle
        while self._unsettled() and self.loop.time() < deadline:  # noqa: ASYNC110 - endpoints are pure and signal nobody
            await asyncio.sleep(0.02)
        deadline = self.loop.time() + self.timeouts.settle
        while (sending := self._under_way()) and (left := deadline - self.loop.time()) > 0:
            await asyncio.wait(sending, timeout=left)

    async def close(self) -> None:
        """Close every connection, after the answers that are owed; stop the clock and the client."""
        if self.closed:
            return
        self.closed = True
        self._emptied = asyncio.Event()
        for connection in list(self.connections):
            connection.close_when_idle()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), FLUSH)
        for connection in list(self.connections):
            connection.abort()
        for source in self._sending:
            source.enabled = False
            source.on_ready = None
        under_way = self._under_way()
        if unsent := len(under_way) + sum(source.waiting() for source in self._sending):
            log.warning("%d outgoing requests were cut off by the end", unsent)
        for task in under_way:
            task.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
        self.wheel.close()
        await self._client.aclose()

    def _add(self, route: Route) -> None:
        dispatcher = self._dispatchers.get(route.bot)
        if dispatcher is None:
            dispatcher = self._dispatchers[route.bot] = Dispatcher(route.bot, self.loop, self._client.fetch)
        self._doors[route.path] = (route, dispatcher.dispatch)
        if route.endpoint.source is not None:
            self._sending[route.endpoint.source] = set()

    def _unsettled(self) -> int:
        return sum(route.endpoint.unsettled() for route, _ in self._doors.values())

    def _under_way(self) -> list[asyncio.Task[None]]:
        return [task for tasks in self._sending.values() for task in tasks]

    def _tick(self) -> None:
        self._ticking = self.loop.call_later(TICK, self._tick)
        now = time()
        for path, (route, _) in self._doors.items():
            try:
                route.endpoint.tick(now)
            except Exception:
                log.exception("the endpoint on %s failed as time passed", path)

    def _pump(self, source: Source) -> None:
        """Send what a source has, up to `MAX_SENDING` at once."""
        sending = self._sending[source]
        while len(sending) < MAX_SENDING and (request := source.next_request(time())) is not None:
            task = self.loop.create_task(self._send(source, request))
            sending.add(task)
            task.add_done_callback(partial(self._sent, source))

    def _sent(self, source: Source, task: asyncio.Task[None]) -> None:
        self._sending[source].discard(task)
        if not task.cancelled():
            self._pump(source)

    async def _send(self, source: Source, request: OutgoingRequest) -> None:
        try:
            response = await self._client.send(request, time())
        except RawbotError as error:
            log.warning("an outgoing request failed: %s", error)
            response = Response(504)  # it may have arrived, so it is not tried again
        except Exception as error:  # noqa: BLE001 - the source must hear of it whatever it was
            log.error("an outgoing request failed: %s", type(error).__name__)  # noqa: TRY400 - texts may hold the URL
            response = Response(504)
        if not source.receive(request, response, time()):
            log.error("what was to be sent is lost: %s", "no answer" if response is None else response.status)

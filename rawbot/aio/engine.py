"""One app at work on one event loop: routes requests, starts handlers, lets time pass, sends what is to be sent.

Engine room. The protocols (`HttpProtocol`, `ASGIApp`) turn bytes into requests; all that they share is here.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from time import time

from rawbot.aio.admission import Admission
from rawbot.aio.client import Client
from rawbot.aio.dispatcher import Dispatcher
from rawbot.aio.host import Connection, Door
from rawbot.aio.outgoing import Outgoing
from rawbot.aio.routes import NOT_FOUND, Route, Routes
from rawbot.aio.settings import Settings
from rawbot.aio.wheel import TimerWheel
from rawbot.bot import Bot
from rawbot.errors import ProtocolError
from rawbot.exchange import Answer, Exchange, Figure, Pending, Request, Response
from rawbot.http.responses import FAILED

log = logging.getLogger("rawbot")

TICK = 1.0
"""Seconds between two calls of `Endpoint.tick`."""

FLUSH = 1.0
"""Seconds that the last answers get to leave at shutdown before connections are aborted."""

_FAILED = Answer(FAILED)


class Engine:
    """Runs routes on a loop. `close` ends it gracefully; it cannot be started again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, routes: Routes, client: Client, settings: Settings) -> None:
        self.loop = loop
        self.limits = settings.limits
        self.timeouts = settings.timeouts
        self.capacity = settings.capacity
        self.observers = settings.observers
        self.hosts = settings.hosts
        self.wheel = TimerWheel(loop)
        self.connections: set[Connection] = set()
        self.time = loop.time
        self.pending = 0
        """How many answers wait for the bot."""
        self.lag = 0.0
        """Seconds that the last tick came late: for so long the loop was held by something."""
        self.max_lag = 0.0
        self.started = False
        self.draining = False
        """Whether each answer is its connection's last."""
        self.closed = False
        """Whether `close` was called."""
        self._admission = Admission(settings.capacity)
        self._turned_away: set[Connection] = set()
        self._client = client
        self._outgoing = Outgoing(loop, client)
        self._dispatchers: dict[Bot, Dispatcher] = {}
        self._routes = routes
        self._doors: dict[str, Door] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        for route in routes:
            self._add(route)

    def start(self) -> None:
        """Let time pass from now on, and what the endpoints have to send be sent."""
        now = time()
        for door in self._doors.values():
            door.route.endpoint.start(now)
        self._outgoing.start()
        self.started = True
        self._tick(self.loop.time())

    # What connections call

    def admit(self, connection: Connection, address: str) -> bool:
        """Take in a connection; False when it has no place and is to be told so."""
        self.connections.add(connection)
        for observer in self.observers:
            observer.opened()
        if self._admission.admit(address):
            return True
        self._turned_away.add(connection)
        return False

    def forget(self, connection: Connection, address: str) -> None:
        """Note that a connection is gone."""
        self.connections.discard(connection)
        if connection in self._turned_away:
            self._turned_away.discard(connection)
        else:
            self._admission.release(address)
        for observer in self.observers:
            observer.closed()
        if self._emptied is not None and not self.connections:
            self._emptied.set()

    @property
    def crowded(self) -> bool:
        """Whether so many are being turned away that there is no time to tell them why."""
        return len(self._turned_away) > self.capacity.max_connections

    def body_limit(self, request: Request) -> int:
        """Return how many bytes the body of this request may have."""
        route = self._routes.find(request.path)
        limit = None if route is None else route.max_body_size
        return self.limits.max_body_size if limit is None else limit

    def receive(self, request: Request, now: float) -> tuple[Exchange, Door | None]:
        """Route a request to its endpoint; return its exchange, and the door that it came to, if there is one."""
        door = self._doors.get(request.path) or self._below(request.path)
        if door is None:
            return NOT_FOUND, None
        route = door.route
        method = request.method
        if method not in route.methods:
            return (route.options if method == "OPTIONS" else route.not_allowed), door
        if method == "HEAD" and method not in route.endpoint.methods:
            request.method = "GET"  # whoever writes the answer leaves the content out
        try:
            exchange = route.endpoint.receive(request, now)
        except Exception:
            log.exception("the endpoint on %s failed", door.path)
            return _FAILED, door
        finally:
            request.method = method
        if isinstance(exchange, Answer) and exchange.error is not None:
            self._note_refused(door, exchange.error)
        return exchange, door

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for, 500 when making it fails."""
        try:
            return pending.answer(now)
        except Exception:
            log.exception("an endpoint failed to make the answer that was waited for")
            return FAILED

    def note_refusal(self, error: ProtocolError, peer: str) -> None:
        """Log a request that broke HTTP or a limit: scanners send many, so below the default level."""
        log.info("refused a request with %d: %s", error.status, error)
        for observer in self.observers:
            observer.refused(error, peer, time())

    # What is seen from outside

    @property
    def handlers(self) -> int:
        """How many handlers run at present."""
        return sum(dispatcher.running for dispatcher in self._dispatchers.values())

    @property
    def waiting(self) -> int:
        """How many messages wait for an earlier one of their conversation."""
        return sum(dispatcher.waiting for dispatcher in self._dispatchers.values())

    @property
    def sending(self) -> int:
        """How many outgoing requests are under way."""
        return len(self._outgoing.under_way())

    @property
    def queued(self) -> int:
        """How many outgoing requests wait."""
        return self._outgoing.waiting()

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Return what the endpoints show to metrics, each with its path."""
        for path, door in self._doors.items():
            for figure in door.route.endpoint.figures():
                yield path, figure

    # The end

    @property
    def busy(self) -> bool:
        """Whether handlers run, or platforms still have to fetch the end of an answer."""
        return any(d.running for d in self._dispatchers.values()) or bool(self._unsettled())

    def drain(self) -> None:
        """Take on nothing new, and let each answer be its connection's last."""
        self.draining = True
        now = time()
        for door in self._doors.values():
            door.route.endpoint.drain(now)

    async def finish(self) -> None:
        """Let handlers end in their time, cancel the others, and let the platforms see how it ended."""
        await asyncio.gather(*(d.close(self.timeouts.graceful) for d in self._dispatchers.values()))
        deadline = self.loop.time() + self.timeouts.settle
        while self._unsettled() and self.loop.time() < deadline:  # noqa: ASYNC110 - endpoints are pure and signal nobody
            await asyncio.sleep(0.02)
        await self._outgoing.finish(self.timeouts.settle)

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
        self._outgoing.close()
        if self._ticking is not None:
            self._ticking.cancel()
        self.wheel.close()
        await self._client.aclose()

    def close_idle(self) -> int:
        """Close the connections that nothing is under way on; return how many there were."""
        idle = [connection for connection in self.connections if connection.idle]
        for connection in idle:
            connection.close_when_idle()
        return len(idle)

    # Inside

    def _add(self, route: Route) -> None:
        dispatcher = self._dispatchers.get(route.bot)
        if dispatcher is None:
            fetch, observers = self._client.fetch, self.observers
            dispatcher = self._dispatchers[route.bot] = Dispatcher(route.bot, self.loop, fetch, observers)
        self._doors[route.path] = Door(route, dispatcher.dispatch)
        if route.endpoint.source is not None:
            self._outgoing.add(route.endpoint.source)

    def _below(self, path: str) -> Door | None:
        route = self._routes.find(path)
        return None if route is None else self._doors[route.path]

    def _note_refused(self, door: Door, error: ProtocolError) -> None:
        code = "" if error.code is None else f" ({error.code})"
        log.warning("%s refused a request: %s%s", door.path, error, code)

    def _unsettled(self) -> int:
        return sum(door.route.endpoint.unsettled() for door in self._doors.values())

    def _tick(self, due: float) -> None:
        self.lag = max(0.0, self.loop.time() - due)
        self.max_lag = max(self.max_lag, self.lag)
        due = self.loop.time() + TICK
        self._ticking = self.loop.call_at(due, self._tick, due)
        now = time()
        for path, door in self._doors.items():
            try:
                door.route.endpoint.tick(now)
            except Exception:
                log.exception("the endpoint on %s failed as time passed", path)

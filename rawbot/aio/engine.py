"""One app at work on one event loop: routes requests, starts handlers, lets time pass, sends what is to be sent.

Engine room. The protocols (`HttpProtocol`, `ASGIApp`) turn bytes into requests; all that they share is here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter, time
from typing import cast

from rawbot.aio.admission import Admission, Budget
from rawbot.aio.dispatcher import Dispatcher
from rawbot.aio.doors import Dispatch, Door, Doors, turn_away
from rawbot.aio.files.sendfile import RegionSender
from rawbot.aio.host import Connection, Transport
from rawbot.aio.listening.cutting import cut_off
from rawbot.aio.outgoing.client import Client
from rawbot.aio.outgoing.sending import Outgoing
from rawbot.aio.routes import Route, Routes
from rawbot.aio.settings import Settings
from rawbot.aio.watching.lag import Lag
from rawbot.aio.watching.quiet import Quiet
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.aio.wheel import TimerWheel
from rawbot.bot import Bot
from rawbot.errors import ProtocolError
from rawbot.exchange import Answer, Channel, Exchange, Figure, FileRegion, Pending, Request, Response
from rawbot.http.connection import HttpConnection
from rawbot.http.recognizer import Recognizer
from rawbot.http.responses import FAILED
from rawbot.websocket.handshake import Handshake

log = logging.getLogger("rawbot")

TICK = 1.0
"""Seconds between two calls of `Endpoint.tick`."""

LOOK = 0.1
"""Seconds between two looks at how late the loop comes, while somebody observes: shorter stalls are seen by chance."""

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
        self.websocket = settings.websocket
        self.wheel = TimerWheel(loop, partial(self.note_failure, "a deadline failed"))
        self.connections: set[Connection] = set()
        self.time = loop.time
        self.now = time
        self.stopwatch = perf_counter
        self.bodies = Budget(settings.capacity.max_body_bytes)
        self.pending = 0
        """How many answers wait for the bot."""
        self._lag = Lag()
        self._broken = Quiet()
        self._refused = Quiet()
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
        self._doors = Doors(routes, settings.limits.max_body_size)
        self.body_limit = self._doors.body_limit
        self._ticking: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        for route in routes:
            self._add(route)
        self._methods = self._doors.methods
        self._recognizer = self._make_recognizer() if settings.fast_path else None

    def start(self) -> None:
        """Let time pass from now on, and what the endpoints have to send be sent."""
        now = time()
        for door in self._doors:
            door.endpoint.start(now)
        self._outgoing.start()
        self.started = True
        self._tick()
        if self.observers:
            self._look(self.loop.time())

    # What connections call

    def make_connection(self, peer: str) -> HttpConnection:
        """Return the HTTP of a connection with this client."""
        return HttpConnection(
            self.limits,
            peer=peer,
            body_limit=self.body_limit,
            hosts=self.hosts,
            methods=self._methods,
            recognizer=self._recognizer,
        )

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

    @property
    def crowded(self) -> bool:
        """Whether so many are being turned away that there is no time to tell them why."""
        return len(self._turned_away) > self.capacity.max_connections

    def receive(self, request: Request, now: float) -> tuple[Exchange, Door | None]:
        """Route a request to its endpoint; return its exchange, and the door that it came to, if there is one."""
        door = self._doors.find(request.path)
        told = turn_away(request, door)
        if door is None or told is not None:
            return told or _FAILED, door
        method = request.method
        if method == "HEAD" and method not in door.endpoint.methods:
            request.method = "GET"  # whoever writes the answer leaves the content out
        try:
            exchange = door.endpoint.receive(request, now)
        except Exception:
            log.exception("the endpoint on %s failed", door.path)
            return _FAILED, door
        finally:
            request.method = method
        if isinstance(exchange, Answer) and exchange.error is not None:
            self._note_refused(door, exchange.error, request.peer, now)
        return exchange, door

    def cut(self, transport: Transport) -> None:
        """Close at once, with nothing kept for the peer."""
        cut_off(cast("asyncio.Transport", transport))

    def send_region(self, transport: Transport, region: FileRegion, on_end: Callable[[bool], None]) -> RegionSender:
        """Return what sends a file's region and closes it."""
        stream = cast("asyncio.Transport", transport)
        return RegionSender(self.loop, stream, region, stall=self.timeouts.write, on_end=on_end)

    def make_websocket(
        self, channel: Channel, handshake: Handshake, dispatch: Dispatch, address: str
    ) -> WebSocketProtocol:
        """Return what a connection becomes after this handshake."""
        return WebSocketProtocol(self, channel, handshake, dispatch, address=address)

    def replace(self, connection: Connection, successor: Connection) -> None:
        """Let the successor have the connection's place."""
        self.connections.discard(connection)
        self.connections.add(successor)

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for, 500 when making it fails."""
        try:
            return pending.answer(now)
        except Exception:
            log.exception("an endpoint failed to make the answer that was waited for")
            return FAILED

    def note_failure(self, what: str, error: Exception) -> None:
        """Log a fault of ours."""
        log.error("%s", what, exc_info=error)

    def note_refusal(self, error: ProtocolError, peer: str) -> None:
        """Log a request that broke HTTP or a limit: scanners send many, so below the default level and not each one."""
        now = time()
        if self._broken.admit(now):
            log.info("refused a request of %s with %d: %s", peer or "a local client", error.status, error)
        for observer in self.observers:
            observer.refused(error, peer, now)

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
        for door in self._doors:
            try:
                figures = list(door.endpoint.figures())
            except Exception:
                log.exception("the endpoint on %s failed to show its figures", door.path)
                continue
            for figure in figures:
                yield door.path, figure

    @property
    def lag(self) -> float:
        """Seconds that the loop came late the last time that was looked: it was held by something."""
        return self._lag.last

    @property
    def max_lag(self) -> float:
        """Seconds that it came late at worst within the last minute or two."""
        return self._lag.worst

    # The end

    @property
    def busy(self) -> bool:
        """Whether handlers run, or platforms still have to fetch the end of an answer."""
        return bool(self.handlers or self._doors.unsettled())

    @property
    def awaits_requests(self) -> bool:
        """Whether what is under way needs further requests to come in, and to this process."""
        return self.busy and any(door.endpoint.keeps_state for door in self._doors)

    def drain(self) -> None:
        """Take on nothing new, and let each answer be its connection's last."""
        self.draining = True
        now = time()
        for door in self._doors:
            door.endpoint.drain(now)

    async def finish(self) -> None:
        """Let handlers end in their time, cancel the others, and let the platforms see how it ended."""
        await asyncio.gather(*(d.close(self.timeouts.graceful) for d in self._dispatchers.values()))
        deadline = self.loop.time() + self.timeouts.settle
        while self._doors.unsettled() and self.loop.time() < deadline:  # noqa: ASYNC110 - endpoints are pure and signal nobody
            await asyncio.sleep(0.02)
        await self._outgoing.finish(self.timeouts.settle)

    async def close(self) -> None:
        """Close every connection, after the answers that are owed; stop the clock and the client.

        Cancelling this closes the rest at once.
        """
        if self.closed:
            return
        self.closed = True
        try:
            await self._let_go()
        finally:
            self._end()
            await self._client.aclose()

    async def _let_go(self) -> None:
        """Let what is under way arrive, a request that is coming in and a long answer that is going out among it."""
        start = self.loop.time()
        while self.connections:
            for connection in list(self.connections):
                connection.close_when_idle()
            passed = self.loop.time() - start
            unfinished = any(connection.unfinished for connection in self.connections)
            if passed > (self.timeouts.graceful if unfinished else FLUSH):
                if unfinished:
                    log.warning("answers that were on their way are cut off by the end")
                return
            await asyncio.sleep(0.02)

    def _end(self) -> None:
        for connection in list(self.connections):
            connection.abort()
        self._outgoing.close()
        for handle in (self._ticking, self._looking):
            if handle is not None:
                handle.cancel()
        self.wheel.close()
        for observer in self.observers:
            observer.close()

    def close_idle(self) -> int:
        """Close the connections that nothing is under way on; return how many there were."""
        idle = [connection for connection in self.connections if connection.idle]
        for connection in idle:
            connection.close_when_idle()
        return len(idle)

    # Inside

    def _make_recognizer(self) -> Recognizer:
        least = self._doors.least_body_limit
        return Recognizer(self.limits, body_limit=least, ask=self.body_limit, hosts=self.hosts)

    def _add(self, route: Route) -> None:
        dispatcher = self._dispatchers.get(route.bot)
        if dispatcher is None:
            fetch, observers = self._client.fetch, self.observers
            dispatcher = self._dispatchers[route.bot] = Dispatcher(route.bot, self.loop, fetch, observers)
        self._doors.open(route, dispatcher)
        if route.endpoint.source is not None:
            self._outgoing.add(route.endpoint.source)

    def _note_refused(self, door: Door, error: ProtocolError, peer: str, now: float) -> None:
        if self._refused.admit(now):
            code = "" if error.code is None else f" ({error.code})"
            log.warning("%s refused a request of %s: %s%s", door.path, peer or "a local client", error, code)

    def _look(self, due: float) -> None:
        now = self.loop.time()
        self._lag.note(due, now)
        self._looking = self.loop.call_at(now + LOOK, self._look, now + LOOK)

    def _tick(self) -> None:
        self._ticking = self.loop.call_later(TICK, self._tick)
        now = time()
        for door in self._doors:
            try:
                door.endpoint.tick(now)
            except Exception:
                log.exception("the endpoint on %s failed as time passed", door.path)
        if held_back := self._broken.summary(now):
            log.info("refused %d more requests", held_back)
        if held_back := self._refused.summary(now):
            log.warning("endpoints refused %d more requests", held_back)

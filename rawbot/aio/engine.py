"""One app at work on one event loop: routes requests, starts handlers, lets time pass, sends what is to be sent.

Engine room. The protocols (`HttpProtocol`, `ASGIApp`) turn bytes into requests; all that they share is here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
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
from rawbot.aio.outgoing.dialing import Dialing
from rawbot.aio.outgoing.sending import Outgoing
from rawbot.aio.routes import NOBODY, Routes
from rawbot.aio.services import Services
from rawbot.aio.settings import Settings
from rawbot.aio.watching.lag import Lag
from rawbot.aio.watching.quiet import Quiet
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.aio.wheel import TimerWheel
from rawbot.errors import ProtocolError
from rawbot.event import Handlers
from rawbot.exchange import Answer, Channel, Exchange, Figure, FileRegion, Pending, Request, Response, Service
from rawbot.http.connection import HttpConnection
from rawbot.http.recognizer import Recognizer
from rawbot.http.responses import FAILED
from rawbot.websocket.handshake import Handshake

log = logging.getLogger("rawbot")

TICK = 1.0
"""Seconds between two calls of `Service.tick`, unless one wants it earlier."""

LOOK = 0.1
"""Seconds between two looks at how late the loop comes, while somebody observes: shorter stalls are seen by chance."""

FLUSH = 1.0
"""Seconds that the last answers get to leave at shutdown before connections are aborted."""

_FAILED = Answer(FAILED)


class Engine:
    """Runs routes on a loop. `close` ends it gracefully; it cannot be started again."""

    now = staticmethod(time)
    stopwatch = staticmethod(perf_counter)
    pending = 0
    """How many answers wait for the bot."""
    started = False
    draining = False
    """Whether each answer is its connection's last."""
    closed = False
    """Whether `close` was called."""
    _ticking: asyncio.TimerHandle | None = None
    _looking: asyncio.TimerHandle | None = None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        routes: Routes,
        client: Client,
        settings: Settings,
        *,
        services: Sequence[tuple[Service, Handlers | None]] = (),
        own_client: Client | None = None,
    ) -> None:
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
        self.bodies = Budget(settings.capacity.max_body_bytes)
        self._lag = Lag()
        self._broken = Quiet()
        self._refused = Quiet()
        self._admission = Admission(settings.capacity)
        self._turned_away: set[Connection] = set()
        self._dialled: set[Connection] = set()
        self._clients = [client] if own_client is None else [client, own_client]
        self._outgoing = Outgoing(loop, client, own_client)
        self._dialing = Dialing(self)
        self._services = Services(self.note_failure)
        self._dispatchers: dict[Handlers, Dispatcher] = {}
        self._doors = Doors(routes, settings.limits.max_body_size)
        self.body_limit = self._doors.body_limit
        self._take_part(routes, services)
        self._methods = self._doors.methods
        self._recognizer = self._make_recognizer() if settings.fast_path else None

    def start(self) -> None:
        """Let time pass from now on, and what the endpoints have to send be sent."""
        self._services.start(time())
        self._outgoing.start()
        self._dialing.start()
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
        if connection in self._dialled:
            self._dialled.discard(connection)
            return
        if connection in self._turned_away:
            self._turned_away.discard(connection)
        else:
            self._admission.release(address)
        for observer in self.observers:
            observer.closed()

    def take_in(self, connection: Connection) -> None:
        """Take in a connection that we have opened, which needs no place."""
        self.connections.add(connection)
        self._dialled.add(connection)

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
        """Return what the services show to metrics, each with its path or name."""
        return self._services.figures()

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
        return bool(self.handlers or self._services.unsettled())

    @property
    def awaits_requests(self) -> bool:
        """Whether what is under way needs further requests to come in, and to this process."""
        return self.busy and self._services.keep_state

    def drain(self) -> None:
        """Take on nothing new, and let each answer be its connection's last."""
        self.draining = True
        self._dialing.stop()
        self._services.drain(time())

    async def finish(self) -> None:
        """Let handlers end in their time, cancel the others, and let the platforms see how it ended."""
        await asyncio.gather(*(d.close(self.timeouts.graceful) for d in self._dispatchers.values()))
        deadline = self.loop.time() + self.timeouts.settle
        while self._services.unsettled() and self.loop.time() < deadline:  # noqa: ASYNC110 - endpoints are pure and signal nobody
            await asyncio.sleep(0.02)
        await self._outgoing.finish(self.timeouts.settle)

    async def close(self) -> None:
        """Close every connection, after the answers that are owed; stop the clock and the client.

        Cancelling this closes the rest at once.
        """
        if self.closed:
            return
        self.closed = True
        self._dialing.stop()
        try:
            await self._let_go()
        finally:
            self._end()
            await self._dialing.aclose()
            for client in self._clients:
                await client.aclose()

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

    def _take_part(self, routes: Routes, services: Sequence[tuple[Service, Handlers | None]]) -> None:
        """Open the doors and let all services in; those who want to hear of all events do, but of no service's own."""
        for route in routes:
            self._attach(route.path, route.endpoint, route.bot)
            self._doors.open(route, self._dispatcher(route.bot))
        for service, handlers in services:
            self._attach(type(service).__name__, service, handlers)
        own = [service.handlers for service in self._services]
        for handlers, dispatcher in self._dispatchers.items():
            if handlers not in own:
                dispatcher.listeners = self._services.listeners()

    def _attach(self, name: str, service: Service, handlers: Handlers | None) -> None:
        """Let a service in; what it tells is for the handlers that are its own, or given."""
        self._services.add(name, service)
        service.fetch = self._clients[0].fetch
        service.promise = self.loop.create_future
        service.dispatch = self._dispatcher(service.handlers or handlers or NOBODY).dispatch
        for source in service.sources:
            self._outgoing.add(source)
        for dial in service.dials:
            self._dialing.add(dial, service.dispatch)

    def _dispatcher(self, handlers: Handlers) -> Dispatcher:
        dispatcher = self._dispatchers.get(handlers)
        if dispatcher is None:
            fetch, observers = self._clients[0].fetch, self.observers
            dispatcher = self._dispatchers[handlers] = Dispatcher(handlers, self.loop, fetch, observers)
        return dispatcher

    def _note_refused(self, door: Door, error: ProtocolError, peer: str, now: float) -> None:
        if self._refused.admit(now):
            code = "" if error.code is None else f" ({error.code})"
            log.warning("%s refused a request of %s: %s%s", door.path, peer or "a local client", error, code)

    def _look(self, due: float) -> None:
        now = self.loop.time()
        self._lag.note(due, now)
        self._looking = self.loop.call_at(now + LOOK, self._look, now + LOOK)

    def _tick(self) -> None:
        now = time()
        wait = min(TICK, max(0.0, self._services.tick(now) - now))
        self._ticking = self.loop.call_later(wait, self._tick)
        if held_back := self._broken.summary(now):
            log.info("refused %d more requests", held_back)
        if held_back := self._refused.summary(now):
            log.warning("endpoints refused %d more requests", held_back)
        self._outgoing.tick(now)
        self._dialing.tick(now)

"""OneBot as a program writes it: the implementation with its connections, served in a loop or as a program.

Layer 4: it puts `rawbot.onebot` and the engine room together. Connections of the same host and port share a socket.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TypeVar

from rawbot.aio.app import App
from rawbot.aio.listening.listen import Listen
from rawbot.aio.outgoing.policy import ANYWHERE, OutgoingPolicy
from rawbot.aio.running import say_where, stop_signals
from rawbot.aio.server import Server, serve
from rawbot.aio.watching.quiet import Quiet
from rawbot.errors import ConfigError, FetchError, MissingExtraError
from rawbot.exchange import Endpoint, Service
from rawbot.onebot.endpoint import OneBotEndpoint
from rawbot.onebot.fetching import fetch_by
from rawbot.onebot.files import MAX_SIZE, MAX_TOTAL, TTL, Files
from rawbot.onebot.implementation import ACTION_TIMEOUT, MAX_RUNNING, Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.outlets import Outlets
from rawbot.onebot.places import Place, group
from rawbot.onebot.settings import HTTP, Connection, HTTPWebhook, WebSocket, WebSocketReverse
from rawbot.onebot.v11.endpoint import V11Endpoint
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.outlets import V11Outlets
from rawbot.onebot.v11.settings import V11HTTP, V11Connection, V11HTTPPost, V11WebSocket, V11WebSocketReverse
from rawbot.stores.spilling import SpillingStore
from rawbot.websocket.handshake import require

log = logging.getLogger("rawbot")

S = TypeVar("S", bound=Service)


@dataclass(slots=True)
class OneBotServer:
    """An implementation that is being served."""

    servers: list[Server] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """Where it listens."""
        return [url for server in self.servers for url in server.urls]

    @property
    def port(self) -> int:
        """The first TCP port that was bound: the real one when 0 was asked for. 0 when there is none."""
        return next((server.port for server in self.servers if server.port), 0)


class OneBot(Implementation):
    """A OneBot 12 implementation with its connections, each kind any number of times; see `Implementation`.

    Those of OneBot 11 are for the same bots and handlers. `outgoing` says where files may be fetched from.
    `entropy(n)` gives n random bytes, `clock` Unix time. Raises `ConfigError` for what cannot be connected,
    `MissingExtraError` where a library for it is missing.
    """

    def __init__(
        self,
        impl: str,
        *,
        platform: str,
        version: str,
        bots: Sequence[str | Account] = (),
        connections: Iterable[Connection | V11Connection] = (),
        heartbeat: int = 0,
        action_timeout: float = ACTION_TIMEOUT,
        max_running: int = MAX_RUNNING,
        strict: bool = False,
        outgoing: OutgoingPolicy | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(
            impl,
            platform=platform,
            version=version,
            bots=bots,
            heartbeat=heartbeat,
            action_timeout=action_timeout,
            max_running=max_running,
            strict=strict,
            clock=clock,
            entropy=entropy,
        )
        self._outgoing = outgoing
        self._services: list[Service] = []
        self._joined: list[App] = []
        self._store: SpillingStore | None = None
        self._complaints = Quiet()
        connections = [_check(one) for one in connections]
        self._places = group(connections)
        self._out = [one for one in connections if isinstance(one, HTTPWebhook | WebSocketReverse)]
        self._v11_out = [one for one in connections if isinstance(one, V11HTTPPost | V11WebSocketReverse)]
        for one in sorted((one for one in connections if isinstance(one, V11Connection)), key=_names_no_number):
            self._faces.face_for(one)

    def mount(
        self,
        app: App,
        path: str,
        *,
        http: HTTP | V11HTTP | None = None,
        websocket: WebSocket | V11WebSocket | None = None,
    ) -> None:
        """Let it answer on a path of an app, as these settings say, of which host and port do not count.

        OneBot 11 answers on the paths below as well. The connections that it opens by itself become the app's. Raises
        as `App.add` and `App.attach` do, and `ConfigError` for OneBot 12 and 11 on one path.
        """
        app.add(path, self._keep(self._open_door(http, websocket)))
        self._join(app)

    def serve_files(
        self,
        *,
        folder: str | None = None,
        max_size: int = MAX_SIZE,
        max_total: int = MAX_TOTAL,
        ttl: float = TTL,
    ) -> Files:
        """Offer the four file actions. What is large lies on the disk, in a folder that goes when the server does.

        `folder` is shared with applications on this machine: type `path` reads from it and puts copies into it, and
        nowhere else; None refuses that. Sizes are in bytes, `ttl` in seconds; see `Files`.
        """
        self._store = SpillingStore()
        self.files = Files(
            self._store,
            clock=self.clock,
            fetch=fetch_by(self._services),
            folder=folder,
            max_size=max_size,
            max_total=max_total,
            ttl=ttl,
        )
        self.files.register(self.actions)
        return self.files

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[OneBotServer]:
        """Serve inside a running loop, until the block is left. Raises `ConfigError` for what cannot be bound.

        What it opens by itself is left to the app that it is mounted on, if it is.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not self._joined:
                stack.push_async_callback(self._close_files)
            server = await stack.enter_async_context(self.listen())
            outlets = [] if self._joined else self._make_outlets()
            if outlets:
                outside = App(outgoing=self._outgoing)
                for service in outlets:
                    outside.attach(self._keep(service, stack))
                stack.push_async_callback(outside.aclose)
                outside.engine(asyncio.get_running_loop())
            yield server

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[OneBotServer]:
        """Serve the connections that listen, and no others."""
        async with contextlib.AsyncExitStack() as stack:
            server = OneBotServer()
            for place in self._places:
                app = App(outgoing=self._outgoing)
                app.add("/", self._keep(self._open_door(place.http, place.websocket), stack))
                _warn_if_open(place)
                listening = serve(app, Listen(host=place.host, port=place.port))
                server.servers.append(await stack.enter_async_context(listening))
            yield server

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM; a second signal stops at once."""
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._run())

    def _join(self, app: App) -> None:
        """Let what is opened and held by us live as long as the app."""
        if app in self._joined:
            return
        self._joined.append(app)
        for service in self._make_outlets():
            app.attach(self._keep(service))
        app.on_shutdown(self._close_files)

    @cached_property
    def _faces(self) -> Faces:
        return Faces(self)

    def _open_door(self, http: HTTP | V11HTTP | None, websocket: WebSocket | V11WebSocket | None) -> Endpoint:
        if isinstance(http, V11HTTP) or isinstance(websocket, V11WebSocket):
            if isinstance(http, HTTP) or isinstance(websocket, WebSocket):
                raise ConfigError("OneBot 12 and 11 have each a path of their own")
            return V11Endpoint(self._faces, http=http, websocket=websocket)
        return OneBotEndpoint(self, http=http, websocket=websocket)

    def _make_outlets(self) -> list[Outlets]:
        outlets = [Outlets(self, self._out, complain=self._complain)] if self._out else []
        if self._v11_out:
            outlets.append(V11Outlets(self._faces, self._v11_out, complain=self._complain))
        return outlets

    def _keep(self, service: S, stack: contextlib.AsyncExitStack | None = None) -> S:
        """Have files fetched by this service's app, until the stack is unwound."""
        self._services.append(service)
        if stack is not None:
            stack.callback(self._services.remove, service)
        return service

    def _complain(self, text: str) -> None:
        """Say what goes wrong outside, though not each time."""
        now = self.clock()
        if held_back := self._complaints.summary(now):
            log.warning("%s: that, or the like, %d more times", self.impl, held_back)
        if self._complaints.admit(now):
            log.warning("%s: %s", self.impl, text)

    async def _close_files(self) -> None:
        if self._store is not None:
            await self._store.close()

    async def _run(self) -> None:
        with stop_signals() as stopped:
            async with self.serve() as server:
                for url in server.urls:
                    say_where(url)
                await stopped.wait()


def _check(one: Connection | V11Connection) -> Connection | V11Connection:
    """Return a connection. Raises `ConfigError` for what is none or leads nowhere, `MissingExtraError`."""
    if not isinstance(one, Connection | V11Connection):
        raise ConfigError(f"{type(one).__name__} is no connection: HTTP, HTTPWebhook, WebSocket, WebSocketReverse are")
    if isinstance(one, WebSocket | WebSocketReverse | V11WebSocket | V11WebSocketReverse):
        require("a WebSocket of OneBot's")
    if isinstance(one, HTTPWebhook | V11HTTPPost) and find_spec("httpx") is None:
        raise MissingExtraError("client", "OneBot's webhook")
    for url in _urls_of(one):
        try:
            ANYWHERE.locate(url.replace("ws", "http", 1) if url.startswith("ws") else url)
        except FetchError as error:
            raise ConfigError(f"a connection cannot be opened: {error}") from None
    return one


def _urls_of(one: Connection | V11Connection) -> list[str]:
    if isinstance(one, V11WebSocketReverse):
        return [url for url, _ in one.links]
    return [one.url] if isinstance(one, HTTPWebhook | WebSocketReverse | V11HTTPPost) else []


def _names_no_number(one: V11Connection) -> bool:
    return one.self_id is None


def _warn_if_open(place: Place) -> None:
    """Say loudly that anybody may act in the bot's name."""
    if place.is_open and not _is_loopback(place.host):
        log.warning("OneBot listens on %s without an access token: whoever gets there is in control", place.host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

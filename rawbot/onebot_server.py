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
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TypeVar

from rawbot.aio.app import App
from rawbot.aio.listening.listen import Listen
from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.aio.running import say_where, stop_signals
from rawbot.aio.server import Server, serve
from rawbot.errors import ConfigError, MissingExtraError
from rawbot.exchange import Service
from rawbot.onebot.endpoint import OneBotEndpoint
from rawbot.onebot.fetching import fetch_by
from rawbot.onebot.files import MAX_SIZE, MAX_TOTAL, TTL, Files
from rawbot.onebot.implementation import ACTION_TIMEOUT, MAX_RUNNING, Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.outlets import Outlets
from rawbot.onebot.settings import HTTP, Connection, HTTPWebhook, WebSocket, WebSocketReverse
from rawbot.stores.spilling import SpillingStore

log = logging.getLogger("rawbot")

S = TypeVar("S", bound=Service)


@dataclass(slots=True)
class _Place:
    """What is listened for on one host and port."""

    host: str
    port: int
    http: HTTP | None = None
    websocket: WebSocket | None = None


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

    `outgoing` says where files may be fetched from. `entropy(n)` gives n random bytes, `clock` Unix time.
    """

    def __init__(
        self,
        impl: str,
        *,
        platform: str,
        version: str,
        bots: Sequence[str | Account] = (),
        connections: Iterable[Connection] = (),
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
        self._store: SpillingStore | None = None
        connections = list(connections)
        self._places = _group(connections)
        self._out = [one for one in connections if isinstance(one, HTTPWebhook | WebSocketReverse)]
        if any(isinstance(one, HTTPWebhook) for one in self._out) and find_spec("httpx") is None:
            raise MissingExtraError("client", "OneBot's webhook")

    def mount(self, app: App, path: str, *, http: HTTP | None = None, websocket: WebSocket | None = None) -> None:
        """Let it answer on a path of an app, as these settings say, of which host and port do not count.

        The connections that it opens by itself become the app's. Raises as `App.add` and `App.attach` do.
        """
        app.add(path, self._keep(OneBotEndpoint(self, http=http, websocket=websocket)))
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
        """Serve inside a running loop, until the block is left. Raises `ConfigError` for what cannot be bound."""
        outside = App(outgoing=self._outgoing)
        self._join(outside)
        async with self.listen() as server, contextlib.AsyncExitStack() as stack:
            await outside.startup()
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
                app.add("/", self._keep(OneBotEndpoint(self, http=place.http, websocket=place.websocket)))
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
        if self._out:
            app.attach(self._keep(Outlets(self, self._out)))
        app.on_shutdown(self._close_files)

    def _keep(self, service: S) -> S:
        self._services.append(service)
        return service

    async def _close_files(self) -> None:
        if self._store is not None:
            await self._store.close()

    async def _run(self) -> None:
        with stop_signals() as stopped:
            async with self.serve() as server:
                for url in server.urls:
                    say_where(url)
                await stopped.wait()


def _group(connections: Sequence[Connection]) -> list[_Place]:
    """Put together what shares a socket. Raises `ConfigError` for two of a kind on one."""
    places: dict[tuple[str, int], _Place] = {}
    for one in connections:
        if not isinstance(one, HTTP | WebSocket):
            continue
        place = places.setdefault((one.host, one.port), _Place(one.host, one.port))
        if (place.http if isinstance(one, HTTP) else place.websocket) is not None:
            raise ConfigError(f"two connections of one kind cannot share {one.host}:{one.port}")
        if isinstance(one, HTTP):
            place.http = one
        else:
            place.websocket = one
    return list(places.values())


def _warn_if_open(place: _Place) -> None:
    """Say loudly that anybody may act in the bot's name."""
    kinds = [one for one in (place.http, place.websocket) if one is not None and not one.access_token]
    if kinds and not _is_loopback(place.host):
        log.warning("OneBot listens on %s without an access token: whoever gets there is in control", place.host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

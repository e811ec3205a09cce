"""The app: which endpoint answers on which path, for which bot, and within which limits.

Engine room. An `App` is a description; it runs once it is given to `serve`, `run`, `protocol_factory` or `ASGIApp`.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from rawbot.aio.engine import Engine
from rawbot.aio.outgoing.client import Client
from rawbot.aio.outgoing.policy import ANYWHERE, OutgoingPolicy
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.routes import Routes
from rawbot.aio.settings import Capacity, Settings, Timeouts, make_settings
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot
from rawbot.errors import ConfigError, StateError
from rawbot.event import Handlers
from rawbot.exchange import Endpoint, Service
from rawbot.http.limits import Limits
from rawbot.websocket.settings import WebSocketSettings

log = logging.getLogger("rawbot")

Hook = Callable[[], Awaitable[None] | None]
"""What is called as the app starts or ends: a coroutine function or a plain one."""
H = TypeVar("H", bound=Hook)

MAX_OWN_RESPONSE = 4 * 1024 * 1024
"""Bytes of an answer from where the operator sends us: an application may answer an event with a list of actions."""

OWN_KEEP_ALIVE = 4.0
"""Seconds for which an unused connection to there stays open: uvicorn closes after five, and what is sent just then is
lost."""


class App:
    """Bots and the doors that they listen at.

    `bot` is the one that endpoints talk to unless they are added with another. `limits` bounds requests, `timeouts`
    how long things take, `capacity` how many there are at once, `websocket` what a WebSocket may cost, `outgoing`
    where downloads and active replies may go. `observers` see every request (`AccessLog`, `Metrics`). With `hosts`,
    requests for any other name are refused (421). `fast_path=False` has h11 read every request, the common ones too.
    """

    def __init__(
        self,
        bot: Bot | None = None,
        *,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        capacity: Capacity | None = None,
        websocket: WebSocketSettings | None = None,
        outgoing: OutgoingPolicy | None = None,
        observers: Iterable[Observer] = (),
        hosts: Sequence[str] | None = None,
        fast_path: bool = True,
    ) -> None:
        self.settings: Settings = make_settings(
            limits, timeouts, capacity, websocket=websocket, observers=observers, hosts=hosts, fast_path=fast_path
        )
        self.routes = Routes()
        self.services: list[tuple[Service, Handlers | None]] = []
        """What was attached, and for whom."""
        self._bot = bot
        self._outgoing = outgoing or OutgoingPolicy()
        self._engine: Engine | None = None
        self._on_startup: list[Hook] = []
        self._on_shutdown: list[Hook] = []
        self._hooks_ran = False
        self._ended = True
        """Whether the last run, with its shutdown hooks, is over."""

    def add(self, path: str, endpoint: Endpoint, *, bot: Bot | None = None, max_body_size: int | None = None) -> None:
        """Let this endpoint answer on exactly this path, for this bot or the app's.

        An endpoint that says so (`Files`) answers for all paths below as well. `max_body_size` is this path's own limit
        in bytes. Raises `ConfigError` for a path that cannot be or is taken, `StateError` while the app runs.
        """
        if self.running is not None:
            raise StateError("this app runs already; add its endpoints before it is served")
        if any(service is endpoint for service, _ in self.services):
            raise ConfigError("this endpoint takes part already, as a service without a path")
        self.routes.add(path, endpoint, endpoint.handlers or bot or self._bot, max_body_size=max_body_size)

    def attach(self, service: Service, *, bot: Bot | None = None) -> None:
        """Let a service take part in the app's life without a path, for this bot or the app's.

        Raises `ConfigError` when there is no bot and it needs one, or when it takes part already, `StateError` while
        the app runs.
        """
        if self.running is not None:
            raise StateError("this app runs already; attach its services before it is served")
        taking_part = [*(other for other, _ in self.services), *(route.endpoint for route in self.routes)]
        if any(service is other for other in taking_part):
            raise ConfigError("this service takes part already")
        handlers = service.handlers or bot or self._bot
        if handlers is None and service.needs_bot:
            raise ConfigError("no bot for this service: give one to App or to attach")
        self.services.append((service, handlers))

    def on_startup(self, hook: H) -> H:
        """Call this before the first request is taken, in the order of registration (decorator).

        What it raises keeps the app from being served.
        """
        self._on_startup.append(hook)
        return hook

    def on_shutdown(self, hook: H) -> H:
        """Call this when the last handler has ended, in the reverse order of registration (decorator).

        Also when a start-up hook has failed or was interrupted, for what the others have begun.
        """
        self._on_shutdown.append(hook)
        return hook

    def protocol_factory(self, loop: asyncio.AbstractEventLoop) -> Callable[[], HttpProtocol]:
        """Return what `loop.create_server` takes. Call `await app.aclose()` when the server is closed.

        Where there are start-up hooks, `await app.startup()` comes first.
        """
        engine = self.engine(loop)
        return lambda: HttpProtocol(engine)

    async def startup(self) -> None:
        """Run the start-up hooks, once; `serve`, `run` and an ASGI host do it by themselves."""
        if self._hooks_ran:
            return
        self._hooks_ran = True
        for hook in self._on_startup:
            await _call(hook)

    async def aclose(self) -> None:
        """End what `protocol_factory` began: handlers get their time, then every connection is closed."""
        engine = self._engine
        try:
            if engine is not None and not engine.closed:
                engine.drain()
                await engine.finish()
        finally:
            if engine is not None:
                await engine.close()
            await self.shutdown()

    async def shutdown(self) -> None:
        """Run the shutdown hooks, if the others ran. One that fails is logged, and the rest is run all the same."""
        hooks = reversed(self._on_shutdown) if self._hooks_ran else ()
        self._hooks_ran = False
        deadline = asyncio.get_running_loop().time() + self.settings.timeouts.hooks
        try:
            for hook in hooks:
                await _attempt(hook, deadline)
        finally:
            self._ended = True

    def engine(self, loop: asyncio.AbstractEventLoop) -> Engine:
        """Start this app on a loop; for those who bring their own protocol, as `ASGIApp` does.

        Once it has ended, it may be started again. Raises `StateError` while it runs (its endpoints hold one state),
        and before `startup` where that has something to do.
        """
        if self._on_startup and not self._hooks_ran:
            raise StateError("this app has start-up hooks: await app.startup() before its protocol_factory")
        engine = self.prepare(loop)
        self._hooks_ran = True
        engine.start()
        return engine

    def prepare(self, loop: asyncio.AbstractEventLoop) -> Engine:
        """Make the engine without starting it, for those who bind their sockets before. Raises as `engine` does."""
        if self.running is not None or not self._ended:
            raise StateError("this app runs already; to serve it on several sockets, share one protocol_factory")
        self._engine = Engine(
            loop,
            self.routes,
            Client(policy=self._outgoing),
            self.settings,
            services=self.services,
            own_client=Client(policy=ANYWHERE, max_response=MAX_OWN_RESPONSE, keep_alive=OWN_KEEP_ALIVE),
        )
        self._ended = False
        return self._engine

    @property
    def running(self) -> Engine | None:
        """The engine that it runs on at present."""
        return None if self._engine is None or self._engine.closed else self._engine


async def _attempt(hook: Hook, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await _call(hook)
    except Exception:
        log.exception("a shutdown hook failed")


async def _call(hook: Hook) -> None:
    result = hook()
    if inspect.isawaitable(result):
        await result

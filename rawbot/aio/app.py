"""The app: which endpoint answers on which path, for which bot, and within which limits.

Engine room. An `App` is a description; it runs once it is given to `serve`, `run`, `protocol_factory` or `ASGIApp`.
"""

import asyncio
from collections.abc import Callable

from rawbot.aio.client import Client
from rawbot.aio.engine import Engine
from rawbot.aio.outgoing_policy import OutgoingPolicy
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.routes import Routes
from rawbot.aio.settings import Timeouts
from rawbot.bot import Bot
from rawbot.errors import StateError
from rawbot.exchange import Endpoint
from rawbot.http.limits import Limits


class App:
    """Bots and the doors that they listen at.

    `bot` is the one that endpoints talk to unless they are added with another. `limits` bounds requests, `timeouts`
    how long things take, `outgoing` where downloads and active replies may go.
    """

    def __init__(
        self,
        bot: Bot | None = None,
        *,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        outgoing: OutgoingPolicy | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.timeouts = timeouts or Timeouts()
        self._bot = bot
        self._outgoing = outgoing or OutgoingPolicy()
        self.routes = Routes()
        self._engine: Engine | None = None

    def add(self, path: str, endpoint: Endpoint, *, bot: Bot | None = None) -> None:
        """Let this endpoint answer on exactly this path, for this bot or the app's.

        Raises `ConfigError` for a path that cannot be or is taken, `StateError` while the app runs.
        """
        if self._running:
            raise StateError("this app runs already; add its endpoints before it is served")
        self.routes.add(path, endpoint, bot or self._bot)

    def protocol_factory(self, loop: asyncio.AbstractEventLoop) -> Callable[[], HttpProtocol]:
        """Return what `loop.create_server` takes. Call `await app.aclose()` when the server is closed."""
        engine = self.engine(loop)
        return lambda: HttpProtocol(engine)

    async def aclose(self) -> None:
        """End what `protocol_factory` began: handlers get their time, then every connection is closed."""
        engine = self._engine
        if engine is not None and not engine.closed:
            try:
                engine.drain()
                await engine.finish()
            finally:
                await engine.close()

    def engine(self, loop: asyncio.AbstractEventLoop) -> Engine:
        """Start this app on a loop; for those who bring their own protocol, as `ASGIApp` does.

        Once it has ended, it may be started again. Raises `StateError` while it runs: its endpoints hold one state.
        """
        if self._running:
            raise StateError("this app runs already; to serve it on several sockets, share one protocol_factory")
        client = Client(policy=self._outgoing)
        self._engine = Engine(loop, self.routes, client, limits=self.limits, timeouts=self.timeouts)
        self._engine.start()
        return self._engine

    @property
    def _running(self) -> bool:
        return self._engine is not None and not self._engine.closed

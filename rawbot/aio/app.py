"""The app: which endpoint answers on which path, for which bot, and within which limits.

Engine room. An `App` is a description; it runs once it is given to `serve`, `run`, `protocol_factory` or `ASGIApp`.
"""

import asyncio
from collections.abc import Callable

from rawbot.aio.client import Client
from rawbot.aio.engine import Engine, Route
from rawbot.aio.outgoing_policy import OutgoingPolicy
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.settings import Timeouts
from rawbot.bot import Bot
from rawbot.errors import ConfigError
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
        self._routes: dict[str, Route] = {}
        self._engines: list[Engine] = []

    def add(self, path: str, endpoint: Endpoint, *, bot: Bot | None = None) -> None:
        """Let this endpoint answer on exactly this path. Raises `ConfigError` for a path that cannot be or is taken."""
        if not path.startswith("/") or not path.isascii() or any(c in path for c in "?# "):
            raise ConfigError(f"a path begins with / and has no blank, ? or #; this one does not do: {path!r}")
        if path in self._routes:
            raise ConfigError(f"{path} has an endpoint already")
        bot = bot or self._bot
        if bot is None:
            raise ConfigError(f"no bot for {path}: give one to App or to add")
        if any(route.endpoint is endpoint for route in self._routes.values()):
            raise ConfigError(
                "this endpoint answers on another path already: each has its own state, make a second one"
            )
        self._routes[path] = Route(endpoint, bot)

    @property
    def paths(self) -> list[str]:
        """The paths that are answered."""
        return list(self._routes)

    def protocol_factory(self, loop: asyncio.AbstractEventLoop) -> Callable[[], HttpProtocol]:
        """Return what `loop.create_server` takes. Call `await app.aclose()` when the server is closed."""
        engine = self.engine(loop)
        return lambda: HttpProtocol(engine)

    async def aclose(self) -> None:
        """End what `protocol_factory` began: handlers get their time, then every connection is closed."""
        for engine in self._engines:
            engine.drain()
            await engine.finish()
            await engine.close()
        self._engines.clear()

    def engine(self, loop: asyncio.AbstractEventLoop) -> Engine:
        """Start this app on a loop; for those who bring their own protocol, as `ASGIApp` does."""
        client = Client(policy=self._outgoing)
        engine = Engine(loop, self._routes, client, limits=self.limits, timeouts=self.timeouts)
        engine.start()
        self._engines.append(engine)
        return engine

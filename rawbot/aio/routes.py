"""Which endpoint answers on which path. Pure, although it stands in the engine room: a request in, an exchange out.

A path is compared byte for byte as it was sent, without decoding and without patterns: a chat platform is given one
URL and calls that one.
"""

from collections.abc import Iterator

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Endpoint, Response

NOT_FOUND = Answer(Response(404, b"Not Found\n"))


class Route:
    """An endpoint on its path, and the bot that it talks to."""

    __slots__ = ("bot", "endpoint", "methods", "not_allowed", "path")

    def __init__(self, path: str, endpoint: Endpoint, bot: Bot) -> None:
        self.path = path
        self.endpoint = endpoint
        self.bot = bot
        self.methods = frozenset(endpoint.methods)
        allow = ", ".join(endpoint.methods).encode("ascii")
        self.not_allowed = Answer(Response(405, b"Method Not Allowed\n", headers=((b"allow", allow),)))


class Routes:
    """The routes of an app. Each endpoint has its own state, so it answers on one path only."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def add(self, path: str, endpoint: Endpoint, bot: Bot | None) -> None:
        """Add a route. Raises `ConfigError` for a path that cannot be or is taken, and for an endpoint that is."""
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or any(c in path for c in "?# "):
            raise ConfigError(f"a path begins with / and has no blank, ? or #; this one does not do: {path!r}")
        if path in self._routes:
            raise ConfigError(f"{path} has an endpoint already")
        if bot is None:
            raise ConfigError(f"no bot for {path}: give one to App or to add")
        if any(route.endpoint is endpoint for route in self):
            raise ConfigError(
                "this endpoint answers on another path already: each has its own state, make a second one"
            )
        self._routes[path] = Route(path, endpoint, bot)

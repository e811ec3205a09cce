"""Which endpoint answers on which path. Pure, although it stands in the engine room: a path in, a route out.

A path is compared byte for byte as it was sent, without decoding and without patterns: a chat platform is given one
URL and calls that one. An endpoint that answers below its path too, as files do, gets the rest to decode by itself.
"""

import inspect
from collections.abc import Iterator

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.event import Handlers
from rawbot.exchange import Answer, Endpoint, Response

NOT_FOUND = Answer(Response(404, b"Not Found\n"))


class Route:
    """An endpoint on its path, and the bot that it talks to."""

    __slots__ = ("bot", "endpoint", "max_body_size", "methods", "not_allowed", "options", "path")

    def __init__(self, path: str, endpoint: Endpoint, bot: Handlers, max_body_size: int | None) -> None:
        self.path = path
        self.endpoint = endpoint
        self.bot = bot
        self.max_body_size = max_body_size
        self.methods = set(endpoint.methods)
        if "GET" in self.methods:
            self.methods.add("HEAD")  # RFC 9110, section 9.3.2: the same without the content
        allow = ", ".join(sorted({*self.methods, "OPTIONS"})).encode("ascii")
        self.not_allowed = Answer(Response(405, b"Method Not Allowed\n", headers=((b"allow", allow),)))
        self.options = Answer(Response(204, headers=((b"allow", allow),)))
        """What OPTIONS is told unless the endpoint answers it itself (RFC 9110, section 9.3.7)."""


class Routes:
    """The routes of an app. Each endpoint has its own state, so it answers on one path only."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._below: list[tuple[str, Route]] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def add(self, path: str, endpoint: Endpoint, bot: Handlers | None, *, max_body_size: int | None = None) -> None:
        """Add a route. Raises `ConfigError` for a path that cannot be or is taken, and for an endpoint that is."""
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or any(c in path for c in "?# "):
            raise ConfigError(f"a path begins with / and has no blank, ? or #; this one does not do: {path!r}")
        if path in self._routes:
            raise ConfigError(f"{path} has an endpoint already")
        if not all(method.isascii() and method.isprintable() and " " not in method for method in endpoint.methods):
            raise ConfigError(f"the endpoint for {path} takes a method that none can be")
        if inspect.iscoroutinefunction(endpoint.receive):
            raise ConfigError(f"the endpoint for {path} has an async receive; it returns a Pending to answer later")
        if bot is None and endpoint.needs_bot:
            raise ConfigError(f"no bot for {path}: give one to App or to add")
        if max_body_size is None:
            max_body_size = endpoint.max_body_size
        if max_body_size is not None and max_body_size < 0:
            raise ConfigError("max_body_size must not be negative")
        if any(route.endpoint is endpoint for route in self):
            raise ConfigError(
                "this endpoint answers on another path already: each has its own state, make a second one"
            )
        endpoint.mounted_at = path
        route = self._routes[path] = Route(path, endpoint, bot or NOBODY, max_body_size)
        if endpoint.below:
            self._below.append((f"{path.rstrip('/')}/", route))
            self._below.sort(key=lambda entry: -len(entry[0]))  # the longest path wins

    def find(self, path: str) -> Route | None:
        """Return the route for a path as it was sent."""
        found = self._routes.get(path)
        if found is None and self._below:
            return next((route for start, route in self._below if path.startswith(start)), None)
        return found


NOBODY: Handlers = Bot()
"""Stands where no bot is needed."""

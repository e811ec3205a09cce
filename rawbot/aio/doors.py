"""The doors of a running app: which one a request comes to, and what it is told before any endpoint sees it.

Engine room, pure.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from rawbot.aio.routes import NOT_FOUND, Route, Routes
from rawbot.event import Event
from rawbot.exchange import Answer, Request, Response
from rawbot.http.heads import METHODS

Dispatch = Callable[[Event], None]
"""Starts the handler for an event."""

MAX_IDLE_BODY = 64 * 1024
"""Bytes of a body that is read only to keep the connection, behind a request that no endpoint sees."""

PING = Answer(Response(204, headers=((b"allow", b"GET, HEAD, OPTIONS, POST"),)))
"""What `OPTIONS *` is told, which asks the server as a whole (RFC 9110, section 9.3.7)."""


class Door:
    """A route on a running engine."""

    __slots__ = ("dispatch", "endpoint", "path", "route")

    def __init__(self, route: Route, dispatch: Dispatch) -> None:
        self.route = route
        self.path = route.path
        self.endpoint = route.endpoint
        self.dispatch = dispatch


class HandlerRunner(Protocol):
    """Runs a bot's handlers."""

    def dispatch(self, event: Event) -> None:
        """Start the handler for an event."""


class Doors:
    """All doors of an app. `max_body_size` is that of requests for which no route has its own."""

    def __init__(self, routes: Routes, max_body_size: int) -> None:
        self._routes = routes
        self._max_body_size = max_body_size
        self._doors: dict[str, Door] = {}

    def __iter__(self) -> Iterator[Door]:
        return iter(self._doors.values())

    def open(self, route: Route, runner: HandlerRunner) -> None:
        """Let requests in by this route."""
        self._doors[route.path] = Door(route, runner.dispatch)

    def find(self, path: str) -> Door | None:
        """Return the door for a path as it was sent."""
        door = self._doors.get(path)
        if door is None:
            route = self._routes.find(path)
            return None if route is None else self._doors[route.path]
        return door

    @property
    def methods(self) -> frozenset[bytes]:
        """All methods that are known: the registered ones, and what endpoints take besides."""
        return METHODS.union(method.encode("ascii") for door in self for method in door.endpoint.methods)

    def body_limit(self, request: Request) -> int:
        """Return how many bytes the body of this request may have."""
        door = self.find(request.path)
        limit = None if door is None else door.route.max_body_size
        limit = self._max_body_size if limit is None else limit
        return limit if turn_away(request, door) is None else min(limit, MAX_IDLE_BODY)

    @property
    def least_body_limit(self) -> int:
        """How many bytes any body may have, whichever way its request goes."""
        limits = [limit for door in self if (limit := door.route.max_body_size) is not None]
        return min(MAX_IDLE_BODY, self._max_body_size, *limits)


def turn_away(request: Request, door: Door | None) -> Answer | None:
    """Return what a request is told that no endpoint sees, or None for one that is to be let in."""
    if door is None:
        return PING if request.path == "*" and request.method == "OPTIONS" else NOT_FOUND
    if request.method in door.route.methods:
        return None
    return door.route.options if request.method == "OPTIONS" else door.route.not_allowed

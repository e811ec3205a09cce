"""What a connection and the engine that it belongs to know of each other.

Engine room, pure: interfaces, so that neither file imports the other.
"""

from collections.abc import Callable
from typing import Protocol

from rawbot.aio.observer import Observer
from rawbot.aio.routes import Route
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.wheel import TimerWheel
from rawbot.errors import ProtocolError
from rawbot.exchange import Event, Exchange, Pending, Request, Response
from rawbot.http.limits import Limits

Dispatch = Callable[[Event], None]
"""Starts the handler for an event."""


class Door:
    """A route on a running engine."""

    __slots__ = ("dispatch", "path", "route")

    def __init__(self, route: Route, dispatch: Dispatch) -> None:
        self.route = route
        self.path = route.path
        self.dispatch = dispatch


class Connection(Protocol):
    """What the engine does with a connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that closing it loses nothing."""

    def close_when_idle(self) -> None:
        """Close now, or right after the answer that is owed."""

    def abort(self) -> None:
        """Close without waiting for anything."""


class Host(Protocol):
    """What a connection needs of the engine."""

    limits: Limits
    timeouts: Timeouts
    capacity: Capacity
    observers: tuple[Observer, ...]
    hosts: frozenset[bytes] | None
    wheel: TimerWheel
    pending: int
    """How many answers wait for the bot."""
    draining: bool
    """Whether each answer is its connection's last."""
    closed: bool
    """Whether it serves no more."""

    @property
    def crowded(self) -> bool:
        """Whether so many are being turned away that there is no time to tell them why."""

    def time(self) -> float:
        """Return the loop's time."""

    def admit(self, connection: Connection, address: str) -> bool:
        """Take in a connection; False when it has no place and is to be told so."""

    def forget(self, connection: Connection, address: str) -> None:
        """Note that a connection is gone."""

    def body_limit(self, request: Request) -> int:
        """Return how many bytes the body of this request may have."""

    def receive(self, request: Request, now: float) -> tuple[Exchange, Door | None]:
        """Route a request; return its exchange, and the door that it came to, if there is one."""

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for."""

    def note_refusal(self, error: ProtocolError, peer: str) -> None:
        """Log a request that broke HTTP or a limit."""

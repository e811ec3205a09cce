"""What a connection and the engine that it belongs to know of each other.

Engine room, pure: two interfaces, so that neither file imports the other.
"""

from collections.abc import Callable
from typing import Protocol

from rawbot.aio.settings import Timeouts
from rawbot.aio.wheel import TimerWheel
from rawbot.errors import ProtocolError
from rawbot.exchange import Event, Exchange, Pending, Request, Response
from rawbot.http.limits import Limits

Dispatch = Callable[[Event], None]
"""Starts the handler for an event."""


class Connection(Protocol):
    """What the engine does with a connection."""

    def close_when_idle(self) -> None:
        """Close now, or right after the answer that is owed."""

    def abort(self) -> None:
        """Close without waiting for anything."""


class Host(Protocol):
    """What a connection needs of the engine."""

    limits: Limits
    timeouts: Timeouts
    wheel: TimerWheel
    connections: set[Connection]
    closed: bool
    """Whether it serves no more."""

    def time(self) -> float:
        """Return the loop's time."""

    def receive(self, request: Request, now: float) -> tuple[Exchange, Dispatch | None]:
        """Route a request; return its exchange, and what starts the handler for its event."""

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for."""

    def note_refusal(self, error: ProtocolError) -> None:
        """Log a request that broke HTTP."""

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""

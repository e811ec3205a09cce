"""What metrics and health checks look at in a running app.

Engine room, pure: interfaces, so that whoever looks needs no engine and no app.
"""

from collections.abc import Iterable, Sized
from typing import Protocol

from rawbot.exchange import Figure


class Watched(Protocol):
    """An app at work: its engine."""

    @property
    def connections(self) -> Sized:
        """The open connections."""

    @property
    def pending(self) -> int:
        """How many answers wait for the bot."""

    @property
    def handlers(self) -> int:
        """How many handlers run."""

    @property
    def waiting(self) -> int:
        """How many messages wait for an earlier one of their conversation."""

    @property
    def sending(self) -> int:
        """How many outgoing requests are under way."""

    @property
    def queued(self) -> int:
        """How many outgoing requests wait."""

    @property
    def lag(self) -> float:
        """Seconds that the loop came late the last time that was looked."""

    @property
    def max_lag(self) -> float:
        """Seconds that it came late at worst in the last one to two minutes."""

    @property
    def started(self) -> bool:
        """Whether everything is up and requests are taken."""

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken on."""

    def figures(self) -> Iterable[tuple[str, Figure]]:
        """Return the endpoints' own numbers, each with the path of its route."""


class Watchable(Protocol):
    """An app, at work or not."""

    @property
    def running(self) -> Watched | None:
        """The app at work, or None before and after."""

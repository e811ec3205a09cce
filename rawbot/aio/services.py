"""All that takes part in an app's life on one engine: its endpoints and the other services, each with its name.

Engine room, pure. One that fails once it has started is logged by the caller's `note_failure`, and the others go on.
"""

import math
from collections.abc import Callable, Iterator

from rawbot.event import Event
from rawbot.exchange import Figure, Service

NoteFailure = Callable[[str, Exception], None]
"""Logs what went wrong, and how."""


class Services:
    """The services of an engine, in the order in which they were added."""

    def __init__(self, note_failure: NoteFailure) -> None:
        self._named: list[tuple[str, Service]] = []
        self._note_failure = note_failure

    def __iter__(self) -> Iterator[Service]:
        return (service for _, service in self._named)

    def add(self, name: str, service: Service) -> None:
        """Take one in; the name is its path where it has one."""
        self._named.append((name, service))

    def start(self, now: float) -> None:
        """Let all of them take on work. What one of them raises keeps the app from being served."""
        for service in self:
            service.start(now)

    def tick(self, now: float) -> float:
        """Let time pass; return when the earliest of them wants to be called again, `inf` for whenever.

        A deadline that has come and was not moved counts for nothing, else one service could have the loop spin.
        """
        due = math.inf
        for name, service in self._named:
            try:
                service.tick(now)
                deadline = service.deadline
            except Exception as error:  # noqa: BLE001 - a service of somebody else's may raise anything
                self._note_failure(f"the service {name} failed as time passed", error)
                continue
            if deadline > now:
                due = min(due, deadline)
        return due

    def drain(self, now: float) -> None:
        """Let none of them take on anything new."""
        for name, service in self._named:
            try:
                service.drain(now)
            except Exception as error:  # noqa: BLE001 - as above
                self._note_failure(f"the service {name} failed to take on nothing new", error)

    def listeners(self) -> list[Callable[[Event], None]]:
        """Return whom to tell of every event."""
        return [service.hear for service in self if service.hears]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Return what they show to metrics, each with its name."""
        for name, service in self._named:
            try:
                figures = list(service.figures())
            except Exception as error:  # noqa: BLE001 - as above
                self._note_failure(f"the service {name} failed to show its figures", error)
                continue
            for figure in figures:
                yield name, figure

    def unsettled(self) -> int:
        """Count the conversations whose end the platforms have not fetched."""
        count = 0
        for name, service in self._named:
            try:
                count += service.unsettled()
            except Exception as error:  # noqa: BLE001 - as above
                self._note_failure(f"the service {name} failed to count what is unsettled", error)
        return count

    @property
    def keep_state(self) -> bool:
        """Whether any of them needs further requests to come to this process."""
        return any(service.keeps_state for service in self)

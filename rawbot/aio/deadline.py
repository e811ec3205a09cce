"""The one deadline of a connection, which moves with each request.

Engine room, pure.
"""

from typing import Protocol

from rawbot.aio.wheel import TimerWheel


class Timekeeper(Protocol):
    """What a deadline needs of the engine."""

    wheel: TimerWheel

    def time(self) -> float:
        """Return the loop's time."""


class Deadlined:
    """Something with a deadline: subclass it and write `on_deadline`, beginning with `_has_passed`.

    A base class and no object of its own, which would cost a connection 100 bytes and each request 0.2 µs.
    """

    __slots__ = ("_bucket", "_deadline", "_expires", "_timekeeper")

    def __init__(self, timekeeper: Timekeeper) -> None:
        self._timekeeper = timekeeper
        self._deadline = 0.0
        self._expires = 0.0
        self._bucket = 0

    def on_deadline(self) -> None:
        """Do what is due (the wheel)."""
        raise NotImplementedError

    def _set_deadline(self, seconds: float) -> None:
        """Let it be in so many seconds; only an earlier deadline than before costs anything."""
        self._deadline = deadline = self._timekeeper.time() + seconds
        if not self._expires or deadline < self._expires:
            if self._expires:
                self._timekeeper.wheel.discard(self, self._bucket)
            self._expires = deadline
            self._bucket = self._timekeeper.wheel.add(self, deadline)

    def _has_passed(self) -> bool:
        """Tell whether it is there; when it has moved in the meantime, look again then."""
        if self._deadline > self._timekeeper.time():
            self._expires = self._deadline
            self._bucket = self._timekeeper.wheel.add(self, self._deadline)
            return False
        self._expires = 0.0
        return True

    def _drop_deadline(self) -> None:
        """Let it never come."""
        self._timekeeper.wheel.discard(self, self._bucket)

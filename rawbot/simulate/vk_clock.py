"""Time that passes when it is told to, and a bell for those who wait: hours of retries in no time.

Layer 3 (simulate). It knows no platform. What is due is run in the order of time, what is due at once at the same time.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import count
from math import inf

from rawbot.errors import StateError

Callback = Callable[[], Awaitable[object]]


class Bell:
    """Wakes whoever waits for something to change."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all that wait at this moment."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    def wait(self) -> Awaitable[object]:
        """Wait for the next ring after this call."""
        return self._event.wait()


class VirtualClock:
    """Unix seconds from `start` on. Nothing but `advance` moves them."""

    __slots__ = ("_lock", "_now", "_numbers", "_timers", "bells")

    def __init__(self, start: float) -> None:
        self._now = start
        self._timers: list[tuple[float, int, Callback]] = []
        self._numbers = count()
        self._lock = asyncio.Lock()
        self.bells: list[Bell] = []
        """Ring when time has passed."""

    @property
    def now(self) -> float:
        """The time."""
        return self._now

    @property
    def due(self) -> float:
        """When the next callback is due; `inf` for never."""
        return self._timers[0][0] if self._timers else inf

    def call_at(self, when: float, callback: Callback) -> None:
        """Have `callback` awaited when that time has come, or at the next `advance` if it has."""
        heapq.heappush(self._timers, (when, next(self._numbers), callback))

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass; return when all that was due in them is done."""
        if not 0 <= seconds < inf:
            raise StateError(f"time passes by a number of seconds, 0 or more, not {seconds:g}")
        async with self._lock:
            until = self._now + seconds
            while self._timers and self._timers[0][0] <= until:
                self._now = max(self._now, self._timers[0][0])
                due = [heapq.heappop(self._timers)[2]]
                while self._timers and self._timers[0][0] <= self._now:
                    due.append(heapq.heappop(self._timers)[2])
                self._ring()
                await asyncio.gather(*(callback() for callback in due))
            self._now = until
            self._ring()

    def _ring(self) -> None:
        for bell in self.bells:
            bell.ring()

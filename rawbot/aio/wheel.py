"""Deadlines for many at little cost: one timer of the loop for all, however many connections and requests there are.

Engine room, pure: the clock is given, and asyncio's loop is one. A `call_later` and its cancelling cost 2.3 µs, and
cancelled ones stay in asyncio's heap till their time. Here a deadline that only moves later, as a keep-alive deadline
does with every request, costs an attribute: whoever holds it looks again when the old one comes (CPython 3.11).
"""

import heapq
from collections.abc import Callable
from typing import Protocol

TICK = 0.05
"""Seconds by which a deadline may come late."""


class Timed(Protocol):
    """Something with a deadline in the wheel."""

    def on_deadline(self) -> None:
        """Be told that the time has come. It is out of the wheel by then."""


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Let it not come."""


class Clock(Protocol):
    """What the wheel needs of an event loop."""

    def time(self) -> float:
        """Return the time in seconds, which never goes back."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Handle:
        """Call it then."""

    def call_soon(self, callback: Callable[..., object], /, *arguments: object) -> Handle:
        """Call it in the next turn."""


class TimerWheel:
    """Buckets of deadlines, `TICK` seconds each. Times are the clock's; `on_failure` hears what a deadline raises."""

    __slots__ = ("_buckets", "_clock", "_due", "_handle", "_on_failure")

    def __init__(self, clock: Clock, on_failure: Callable[[Exception], object]) -> None:
        self._clock = clock
        self._on_failure = on_failure
        self._buckets: dict[int, set[Timed]] = {}
        self._due: list[int] = []
        self._handle: Handle | None = None

    def __len__(self) -> int:
        """Count the deadlines that wait."""
        return sum(map(len, self._buckets.values()))

    def add(self, timed: Timed, when: float) -> int:
        """Call `timed.on_deadline()` at `when`, or up to a tick later; return the bucket, for `discard`."""
        bucket = int(when / TICK) + 1
        members = self._buckets.get(bucket)
        if members is not None:
            members.add(timed)
            return bucket
        self._buckets[bucket] = {timed}
        heapq.heappush(self._due, bucket)
        if self._due[0] == bucket:
            self._schedule()
        return bucket

    def discard(self, timed: Timed, bucket: int) -> None:
        """Take a deadline out; nothing happens when it has come already."""
        members = self._buckets.get(bucket)
        if members is not None:
            members.discard(timed)

    def close(self) -> None:
        """Forget all deadlines."""
        self._buckets.clear()
        self._due.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._clock.call_at(self._due[0] * TICK, self._come) if self._due else None

    def _come(self) -> None:
        """Let everything be read that came in the meantime: time is up only for those who were listened to.

        When the loop was held, a timer is called before what waits in the kernel. The turn after the next one has read.
        """
        self._clock.call_soon(self._clock.call_soon, self._turn)

    def _turn(self) -> None:
        now = self._clock.time()
        while self._due and self._due[0] * TICK <= now:
            for timed in self._buckets.pop(heapq.heappop(self._due)):
                self._ring(timed)
        self._schedule()

    def _ring(self, timed: Timed) -> None:
        try:
            timed.on_deadline()
        except Exception as error:  # noqa: BLE001 - the others of this turn, and all later ones, must come all the same
            self._on_failure(error)

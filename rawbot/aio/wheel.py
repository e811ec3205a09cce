"""Deadlines for many at little cost: one loop timer for all, however many connections and requests there are.

Engine room. A `call_later` and its cancelling cost 2.3 µs, and cancelled ones stay in asyncio's heap till their time.
Here a deadline that only moves later, as a keep-alive deadline does with every request, costs an attribute: whoever
holds it looks again when the old one comes (CPython 3.11).
"""

import asyncio
import heapq
import logging
from typing import Protocol

log = logging.getLogger("rawbot")

TICK = 0.05
"""Seconds by which a deadline may come late."""


class Timed(Protocol):
    """Something with a deadline in the wheel."""

    def on_deadline(self) -> None:
        """Be told that the time has come. It is out of the wheel by then."""


class TimerWheel:
    """Buckets of deadlines, `TICK` seconds each. Times are those of `loop.time()`."""

    __slots__ = ("_buckets", "_due", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Timed]] = {}
        self._due: list[int] = []
        self._handle: asyncio.TimerHandle | None = None

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
        self._handle = self._loop.call_at(self._due[0] * TICK, self._turn) if self._due else None

    def _turn(self) -> None:
        now = self._loop.time()
        while self._due and self._due[0] * TICK <= now:
            for timed in self._buckets.pop(heapq.heappop(self._due)):
                _ring(timed)
        self._schedule()


def _ring(timed: Timed) -> None:
    try:
        timed.on_deadline()
    except Exception:
        log.exception("a deadline failed")  # the others of this turn, and all later ones, must come all the same

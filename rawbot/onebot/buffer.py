"""Events that wait for get_latest_events, and those who wait for events.

Layer 3, pure. Source: OneBot 12, interface/meta/actions (get_latest_events) and connect/communication/http. No meta
events; oldest first; a poll that finds none is answered by the first that comes, or when its time-out in seconds is
over. Events leave the buffer when an answer is made of them, so a poller who has gone before has taken none.

Of several pollers the one who came first gets what there is, and the others go on waiting.
"""

import math
from collections import deque

from rawbot.exchange import Pending
from rawbot.onebot.broadcast import Broadcast

LATELY = 60.0
"""Seconds after a poll for which its application is taken to be there."""


class EventBuffer:
    """At most `size` events, 0 for any number; of more the oldest are dropped."""

    __slots__ = ("_events", "_pollers", "_size", "_taken_at", "dropped")

    def __init__(self, size: int) -> None:
        self._events: deque[dict[str, object]] = deque()
        self._pollers: deque[Pending] = deque()
        self._size = size
        self._taken_at = -math.inf
        self.dropped = 0
        """How many events were crowded out."""

    def __len__(self) -> int:
        """Count the events that wait."""
        return len(self._events)

    @property
    def waiting(self) -> int:
        """How many pollers wait."""
        self._drop_gone()
        return len(self._pollers)

    def push(self, broadcast: Broadcast) -> None:
        """Keep an event, and wake who waits for one."""
        if broadcast.is_meta:
            return
        self._events.append(broadcast.value)
        if self._size and len(self._events) > self._size:
            self._events.popleft()
            self.dropped += 1
        self._wake()

    def listens(self, now: float) -> bool:
        """Tell whether somebody has polled lately."""
        return 0 <= now - self._taken_at < LATELY or any(not pending.over for pending in self._pollers)

    def take(self, limit: int, now: float) -> list[dict[str, object]]:
        """Take out the oldest events, `limit` at the most; 0 for all."""
        self._taken_at = now
        count = min(limit, len(self._events)) if limit > 0 else len(self._events)
        return [self._events.popleft() for _ in range(count)]

    def wait(self, pending: Pending) -> None:
        """Wake this one at the next event, if nobody before it takes that."""
        self._pollers.append(pending)

    def release(self) -> None:
        """Answer all who wait: nothing more will come (shutdown)."""
        while self._pollers:
            self._pollers.popleft().wake()

    def _wake(self) -> None:
        while self._events and self._pollers:
            pending = self._pollers.popleft()
            if not pending.over:
                pending.wake()

    def _drop_gone(self) -> None:
        if any(pending.over for pending in self._pollers):
            self._pollers = deque(pending for pending in self._pollers if not pending.over)

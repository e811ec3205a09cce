"""Updates on their way from a poll to the bot: in order, each till there was room for it, and how far that has come.

Layer 3, pure. Where one dialog has no room, what follows in it waits behind, and other dialogs go on. The position is
the last `ts` before which nothing waits any more: whoever begins there misses nothing.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from rawbot.errors import ProtocolError

MAX_HELD = 1000
"""Updates that wait for room before no more are asked for: VK keeps them as well, and some hundred at least."""

_ALL = object()
"""The lane of everything: nothing can be kept at present."""


@dataclass(slots=True)
class _Batch:
    """What one poll brought."""

    ts: str
    waiting: list[object]


class Handoff:
    """Gives updates to `take(update, now)`, which returns False when there is no room for it.

    `take` may raise `ProtocolError` for an update that cannot be read, which is left out, and `OSError` when it cannot
    be kept, so that it waits. `lane_of(update)` names the dialog.
    """

    def __init__(self, take: Callable[[object, float], bool], lane_of: Callable[[object], Hashable]) -> None:
        self.position: str | None = None
        """All before this was taken, or left out."""
        self.unreadable = 0
        """Updates that were left out."""
        self.failure: Exception | None = None
        """What went wrong last, apart from unreadable updates."""
        self._take = take
        self._lane_of = lane_of
        self._batches: deque[_Batch] = deque()
        self._held = 0

    def __len__(self) -> int:
        """Count the updates that wait for room."""
        return self._held

    @property
    def full(self) -> bool:
        """Whether so many wait that no more should be asked for."""
        return self._held >= MAX_HELD

    def receive(self, updates: list[object], ts: str, now: float) -> None:
        """Hand over what a poll brought, behind what waits. `ts` is what to ask with next."""
        self._batches.append(_Batch(ts, updates))
        self.offer(now)

    def offer(self, now: float) -> None:
        """Try again what waits."""
        blocked: set[Hashable] = set()
        batches: deque[_Batch] = deque()
        for batch in self._batches:
            batch.waiting = [update for update in batch.waiting if not self._give(update, blocked, now)]
            if batch.waiting or not batches:
                batches.append(batch)
            else:
                batches[-1].ts = batch.ts
        if batches and not batches[0].waiting:
            self.position = batches.popleft().ts
        self._batches = batches
        self._held = sum(len(batch.waiting) for batch in batches)

    def clear(self) -> None:
        """Let go of what waits: it comes again from the position on."""
        self._batches.clear()
        self._held = 0

    def _give(self, update: object, blocked: set[Hashable], now: float) -> bool:
        """Return whether this update is over with."""
        lane = self._lane_of(update)
        if lane in blocked or _ALL in blocked:
            return False
        try:
            taken = self._take(update, now)
        except ProtocolError:
            self.unreadable += 1
            return True
        except OSError as error:
            self.failure = error
            blocked.add(_ALL)
            return False
        except Exception as error:  # noqa: BLE001 - one update must not end the polls of all
            self.failure = error
            self.unreadable += 1
            return True
        if not taken:
            blocked.add(lane)
        return taken

"""Which events are known: whether one runs, is done, or has failed, for as long as the platform may bring it again.

Layer 3, pure. Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started): an event that was not answered
well comes again after 10 s, 3 min, 10 min, 30 min and 1 h; in all 6,190 s, and later with Retry-After.

        begin            finish(well)
    NEW ─────▶ RUNNING ─────────────▶ DONE      stays so till it is forgotten
                  ▲  └── finish(not well) ──▶ FAILED
                  └───────────── begin ───────────┘
"""

from enum import Enum

from rawbot.errors import ConfigError, StateError
from rawbot.expiring import ExpiringDict
from rawbot.vk.messages import Key

RETRIED_FOR = 6190.0
"""Seconds from the first time that an event is brought to the last."""

WINDOW = 7200.0
"""Seconds for which an ended event is remembered: longer than the platform tries, as it may come late."""

MAX_REMEMBERED = 200_000
"""Ended events that are remembered: 28 a second for the whole window; 83 MB (CPython 3.11)."""


class Standing(Enum):
    """How an event is known."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Register:
    """The events of some communities. Those that run are held for as long as they do.

    Raises `ConfigError` for a window in which an event that was done could come again and be new.
    """

    __slots__ = ("_ended", "_running", "window")

    def __init__(self, *, window: float = WINDOW, max_remembered: int = MAX_REMEMBERED) -> None:
        if not window > RETRIED_FOR:
            raise ConfigError(f"events must be remembered for longer than VK tries to bring them: {RETRIED_FOR:g} s")
        self.window = window
        self._running: dict[Key, float] = {}
        """When each one came first."""
        self._ended: ExpiringDict[Key, float] = ExpiringDict(window, max_remembered)
        """The same of those that have failed; `_WELL` of all others."""

    def __len__(self) -> int:
        """Count those that run."""
        return len(self._running)

    def standing(self, key: Key, now: float) -> Standing:
        """Tell how an event is known."""
        if key in self._running:
            return Standing.RUNNING
        ended = self._ended.get(key, now)
        if ended is None:
            return Standing.NEW
        return Standing.DONE if ended == _WELL else Standing.FAILED

    def begin(self, key: Key, now: float, *, met: float | None = None) -> float:
        """Let an event run; return when it came first, as far as that is known.

        `met` is what others tell of that, of an event that is not known here. Raises `StateError` for one that runs, or
        has ended well.
        """
        if self.standing(key, now) in (Standing.RUNNING, Standing.DONE):
            raise StateError("this event runs already, or is done")
        known = self._ended.get(key, now)
        if known is None:
            known = now if met is None else min(met, now)
        self._running[key] = known
        return known

    def put_off(self, key: Key, now: float) -> None:
        """Remember when an event came for which there is no room yet; nothing changes for one that is known."""
        if self.standing(key, now) is Standing.NEW:
            self._ended.set(key, now, now)

    def finish(self, key: Key, now: float, *, well: bool) -> None:
        """Note how a running event has ended. Raises `StateError` for one that does not run."""
        met = self._running.pop(key, None)
        if met is None:
            raise StateError("this event does not run")
        if not self._running:
            self._running.clear()  # it keeps its size else
        self._ended.set(key, _WELL if well else met, now)

    def recall(self, key: Key, now: float, *, well: bool) -> None:
        """Note what an earlier process tells of an event's end; nothing changes for one that runs here."""
        if key not in self._running:
            self._ended.set(key, _WELL if well else now, now)

    def expire(self, now: float) -> None:
        """Forget what is over."""
        self._ended.expire(now)

    def age(self, now: float) -> float:
        """Return for how many seconds the oldest of those that run is known, 0 when none does."""
        return max(0.0, now - next(iter(self._running.values()), now))


_WELL = -1.0
"""Stands where a time would, one object for all: an event that is done needs none."""

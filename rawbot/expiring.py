"""A dict that forgets: time to live and size bound, O(1), with `now` as an argument.

Layer 1. Every entry lives equally long, so insertion order is expiry order and the oldest entry is always the first:
forgetting looks at the front and never scans. An OrderedDict, because a plain dict keeps a hole for every entry taken
from its front and walks over all of them to find the next one (draining 100,000 entries: 2.8 s against 26 ms).
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

from rawbot.errors import ConfigError

K = TypeVar("K")
V = TypeVar("V")


class ExpiringDict(Generic[K, V]):
    """Keeps each value `ttl` seconds after it was set, and at most `max_items` of them, dropping the oldest first.

    `on_drop(key, value)` is called for each entry that is forgotten, expired or crowded out, and not for one that is
    popped or replaced. A clock that steps back only makes entries live longer.
    """

    __slots__ = ("_entries", "_max_items", "_on_drop", "_soonest", "_ttl")

    def __init__(self, ttl: float, max_items: int, *, on_drop: Callable[[K, V], None] | None = None) -> None:
        if ttl <= 0 or max_items < 1:
            raise ConfigError("an ExpiringDict needs a ttl above 0 and room for at least one item")
        self._ttl = ttl
        self._max_items = max_items
        self._on_drop = on_drop
        # Tuples of what the collector does not track are not tracked either, once it has met them: a memory of strings
        # costs a full collection nothing.
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._soonest = inf
        """No entry in front is over before this: `set` need not look (0.25 µs in place of 0.36)."""

    def __len__(self) -> int:
        """Count the entries still held, expired ones that no call has met yet included."""
        return len(self._entries)

    def keys(self, now: float) -> list[K]:
        """Return the keys whose time is not over, the oldest first."""
        return [key for key, (expires_at, _) in self._entries.items() if expires_at > now]

    def set(self, key: K, value: V, now: float) -> None:
        """Keep `value` until `now + ttl`; a key already there starts a new life."""
        if now >= self._soonest:
            self.expire(now)
        entries = self._entries
        if key in entries:
            del entries[key]
            self._soonest = -inf  # another may be in front
        expires_at = now + self._ttl
        if not entries:
            self._soonest = expires_at
        entries[key] = (expires_at, value)
        if len(entries) > self._max_items:
            self.drop_oldest()

    def get(self, key: K, now: float) -> V | None:
        """Return the value, or None when it was never set or its time is over."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= now:
            return None
        return entry[1]

    def pop(self, key: K) -> V | None:
        """Take the value out, expired or not, without telling `on_drop`."""
        entry = self._entries.pop(key, None)
        self._soonest = -inf
        return None if entry is None else entry[1]

    def drop_oldest(self) -> None:
        """Forget the entry that was set first; nothing happens when there is none."""
        if self._entries:
            key, (_, value) = self._entries.popitem(last=False)
            self._soonest = -inf
            if self._on_drop is not None:
                self._on_drop(key, value)

    def expire(self, now: float) -> None:
        """Forget what is over at `now`. The cost is that of the entries forgotten."""
        while self._entries:
            expires_at = self._entries[next(iter(self._entries))][0]
            if expires_at > now:
                self._soonest = expires_at
                return
            self.drop_oldest()
        self._entries.clear()  # it keeps its size else: 6 MB after 65,000 entries
        self._soonest = inf

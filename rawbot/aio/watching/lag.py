"""How late the event loop comes: what a request that arrives now would have to wait before anybody looks at it.

Engine room, pure. Somebody asks the loop to be called at a time and tells here by how much it came late. A handler that
blocks for 300 ms is seen by every call that falls due in that time, so calls should fall due more often than the
stalls that one wants to know of last.
"""

WINDOW = 60.0
"""Seconds for which the worst is remembered at least, and twice that at most: longer than a usual scrape interval.
Being read does not make it forgotten, so several who look see the same."""


class Lag:
    """The last delay of a loop, and the worst of the last one to two minutes."""

    __slots__ = ("_before", "_current", "_window", "last")

    def __init__(self) -> None:
        self.last = 0.0
        """Seconds that the last call came late."""
        self._current = 0.0
        self._before = 0.0
        self._window = 0.0

    @property
    def worst(self) -> float:
        """Seconds by which the most delayed call came late."""
        return max(self._current, self._before)

    def note(self, due: float, came: float) -> None:
        """Take in that a call was due then and came then, by the loop's clock."""
        self.last = late = max(0.0, came - due)
        window = came // WINDOW
        if window != self._window:
            self._before = self._current if window == self._window + 1 else 0.0
            self._current = 0.0
            self._window = window
        self._current = max(self._current, late)

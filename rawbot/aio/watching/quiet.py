"""How much may be said of the same thing: port scans and broken clients must not fill a log.

Engine room, pure.
"""

from rawbot.errors import ConfigError


class Quiet:
    """Lets the first `burst` of each `interval` seconds be told one by one, and counts the rest.

    Call `admit` for each, and `summary` now and then. Both take the same clock's `now`.
    """

    __slots__ = ("_burst", "_ends", "_held_back", "_interval", "_left")

    def __init__(self, *, burst: int = 10, interval: float = 60.0) -> None:
        if burst < 1 or not interval > 0:
            raise ConfigError("burst must be 1 or more, and interval above 0")
        self._burst = burst
        self._interval = interval
        self._left = 0
        self._ends = float("-inf")
        self._held_back = 0

    def admit(self, now: float) -> bool:
        """Return whether to tell of this one; one that is not told of is counted."""
        if now >= self._ends:
            self._ends = now + self._interval
            self._left = self._burst
        if not self._left:
            self._held_back += 1
            return False
        self._left -= 1
        return True

    def summary(self, now: float) -> int:
        """Return how many were held back, once, after their interval is over; else 0."""
        if not self._held_back or now < self._ends:
            return 0
        held_back, self._held_back = self._held_back, 0
        return held_back

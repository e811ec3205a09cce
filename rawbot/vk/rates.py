"""How often VK may be called: a bucket of tokens.

Layer 3, pure. Source: dev.vk.com/ru/api/api-requests (20 calls a second with a community's token, 3 with a user's).

A token comes back a period after it was taken. A bucket that is refilled evenly would let twice the rate through in its
first second, all that it holds and all that flows in, and VK counts by the second.
"""

from collections import deque
from math import inf

from rawbot.errors import ConfigError

COMMUNITY_RATE = 20
USER_RATE = 3
"""Calls a second."""

PERIOD = 1.0
"""Seconds for which VK counts."""


class Bucket:
    """`rate` tokens: no more are taken within any `period` seconds. Times are Unix seconds and do not go back."""

    __slots__ = ("_paused_until", "_period", "_rate", "_taken")

    def __init__(self, rate: int, *, period: float = PERIOD) -> None:
        if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1 or not 0 < period < inf:
            raise ConfigError("a rate is a whole number of calls, at least 1, in a period above 0")
        self._rate = rate
        self._period = period
        self._taken: deque[float] = deque(maxlen=rate)
        """When each was taken, the oldest first."""
        self._paused_until = -inf

    @property
    def ready_at(self) -> float:
        """When the next token is there; in the past, when one is."""
        if len(self._taken) < self._rate:
            return self._paused_until
        return max(self._paused_until, self._taken[0] + self._period)

    def take(self, now: float) -> bool:
        """Take a token, if one is there."""
        if self.ready_at > now:
            return False
        self._taken.append(now)
        return True

    def pause(self, until: float) -> None:
        """Give no tokens before this time; of several pauses the longest counts."""
        self._paused_until = max(self._paused_until, until)

    def shift(self, seconds: float) -> None:
        """Move all that is remembered: the clock was set."""
        self._taken = deque((taken + seconds for taken in self._taken), maxlen=self._rate)
        self._paused_until += seconds

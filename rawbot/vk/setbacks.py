"""What goes wrong with a poller: how often, how long it waits for that, and what the operator is told.

Layer 3, pure. Source of the classes of errors: dev.vk.com/ru/reference/errors.

Waits are between half and all of their length, so that many who were cut off together do not come back together.
"""

from collections import Counter, deque
from collections.abc import Callable

from rawbot.errors import RawbotError
from rawbot.vk.errors import CallTimeoutError, QueueFullError, Retry, VKError

FIRST = 0.5
"""Seconds before the first repetition of what broke; each further wait is twice as long, up to `LONGEST`."""

LONGEST = 60.0

SLOW_FIRST = 300.0
"""The same where haste makes it worse, or a person is needed: a quota is used up (29), the token is not valid, Long
Poll is switched off. Nobody stops for ever, since that person may come at any time."""

SLOW_LONGEST = 3600.0

COMPLAIN_AFTER = 3
"""Failures in a row before the operator is told; fewer are the network's daily life."""

_DOUBLINGS = 20


class LongPollError(RawbotError):
    """What the operator should know of a poller: it is raised by a service's `tick`, for the log."""


class Setbacks:
    """Those of one poller. `name` is for the operator; `entropy(n)` gives n random bytes."""

    def __init__(self, name: str, entropy: Callable[[int], bytes]) -> None:
        self.failures: Counter[str] = Counter()
        """By what went wrong."""
        self.complaints: deque[Exception] = deque(maxlen=10)
        """What the operator is to be told."""
        self.streak = 0
        """Polls in a row without a good answer."""
        self._keyless = 0
        """Vain calls for a key in a row."""
        self._name = name
        self._entropy = entropy

    def start(self) -> None:
        """Begin anew; what was counted stays."""
        self.complaints.clear()
        self.streak = self._keyless = 0

    def note_poll(self, reason: str) -> None:
        """Count a poll without a good answer."""
        self.streak += 1
        self.failures[reason] += 1
        if self.streak == COMPLAIN_AFTER:
            self.complain(f"{self.streak} polls in a row have failed, the last one with: {reason}")

    def note_key(self, error: RawbotError) -> float:
        """Count a vain call for a key; return the seconds to wait before the next."""
        self._keyless += 1
        kind = error.code or type(error).__name__ if isinstance(error, VKError) else "unreadable"
        self.failures[f"key: {kind}"] += 1
        slow = _is_slow(error)
        pause = self.slow_pause(self._keyless) if slow else self.pause(self._keyless)
        if slow or self._keyless == COMPLAIN_AFTER:
            self.complain(f"there is no key: {error}; the next try is in {pause:.0f} s")
        return pause

    def end_of_keyless(self) -> None:
        """Note that there is a key."""
        self._keyless = 0

    def complain(self, text: str) -> None:
        """Tell the operator."""
        self.complaints.append(LongPollError(f"Long Poll of {self._name}: {text}"))

    def pause(self, times: int) -> float:
        """Return the seconds to wait when something has gone wrong so many times in a row."""
        return self._pause(FIRST, LONGEST, times)

    def slow_pause(self, times: int) -> float:
        """Return the same in minutes."""
        return self._pause(SLOW_FIRST, SLOW_LONGEST, times)

    def _pause(self, first: float, longest: float, times: int) -> float:
        if times < 1:
            return 0.0
        chance = int.from_bytes(self._entropy(4), "big") / 2**32
        return min(longest, first * 2.0 ** min(times - 1, _DOUBLINGS)) * (0.5 + chance / 2)


def _is_slow(error: RawbotError) -> bool:
    """Tell whether an error of getLongPollServer is one that minutes are waited for."""
    if isinstance(error, CallTimeoutError | QueueFullError):
        return False
    return not isinstance(error, VKError) or error.retry in (Retry.LATER, Retry.NEVER)

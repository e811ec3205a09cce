"""A clock that never goes back, made of one that may: what waits is not to wait an hour longer because it was set.

Layer 3, pure. The wing is told the Unix time, as envelopes need it. Lifetimes are counted on this instead.
"""

JITTER = 1.0
"""Seconds by which two callers' readings may be out of order without the clock having been set."""


class SteadyClock:
    """Turns Unix time into time that only goes on. Set back, the clock goes on from where it was.

    The greatest time seen would not do: it stands still for as long as the clock was set back, and every time-out
    with it. A clock that is set forward cannot be told from a process that was suspended, so that time does pass.
    """

    __slots__ = ("_last", "_set_back")

    def __init__(self) -> None:
        self._last = 0.0
        self._set_back = 0.0

    def read(self, now: float) -> float:
        """Return the steady time when the Unix time is `now`: never less than before."""
        behind = self._last - now
        if behind > JITTER:
            self._set_back += behind
        if behind <= 0 or behind > JITTER:
            self._last = now
        return self._last + self._set_back

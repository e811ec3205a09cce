"""The replies whose messages are to be edited as their texts grow.

Layer 3, pure. Who writes often is edited seldom: however many pieces came since the last look, there is one edit.
"""

from math import inf
from typing import Protocol

LOOK_EVERY = 0.5
"""Seconds between two looks at what is new, as long as anything is."""


class Grower(Protocol):
    """A reply that grows."""

    def grow(self, now: float) -> bool:
        """Show what is new, if it is time; tell whether there is something to be shown later."""


class Growing:
    """Those that have something new to show, in the order in which that was written."""

    __slots__ = ("_replies",)

    def __init__(self) -> None:
        self._replies: dict[Grower, None] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._replies)

    def add(self, reply: Grower) -> None:
        """Have this one grow as time passes."""
        self._replies[reply] = None

    def tick(self, now: float) -> float:
        """Let them grow; return when the next look is due, `inf` for never."""
        if self._replies:
            replies, self._replies = self._replies, {}
            later = [reply for reply in replies if reply.grow(now)]
            self._replies = dict.fromkeys(later) | self._replies
        return now + LOOK_EVERY if self._replies else inf

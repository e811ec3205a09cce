"""Lines on their way from one thread to another, in the order in which they came, and never too many.

Engine room, pure: no lock either. The two threads share a deque, whose ends are safe to use at the same time, and sums,
each of which only one side changes.
"""

from collections import deque


class LineQueue:
    """Takes lines in by `add` on one side, gives them out by `take` on the other; `settle` says what came of them.

    At most `max_waiting` characters wait, those counted that were taken out and not settled; further lines are dropped.
    """

    __slots__ = ("_added", "_lines", "_lost", "_max_waiting", "_refused", "_settled", "_told")

    def __init__(self, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._lines: deque[str] = deque()
        self._added = self._settled = 0
        self._refused = self._lost = self._told = 0

    def __len__(self) -> int:
        """Count the lines that were not taken out."""
        return len(self._lines)

    @property
    def waiting(self) -> int:
        """How many characters wait to be written."""
        return self._added - self._settled

    @property
    def dropped(self) -> int:
        """How many lines did not get there: there was no room, or they could not be written."""
        return self._refused + self._lost

    def add(self, line: str) -> bool:
        """Take a line in; False when there is no room for it."""
        if self._added - self._settled > self._max_waiting:
            self._refused += 1
            return False
        self._added += len(line)
        self._lines.append(line)
        return True

    def take(self, size: int) -> list[str]:
        """Return whole lines of up to `size` characters together, or one that is longer; none when there are none."""
        taken: list[str] = []
        while self._lines:
            size -= len(self._lines[0])
            if size < 0 and taken:
                break
            taken.append(self._lines.popleft())
        return taken

    def settle(self, lines: list[str], *, written: bool) -> None:
        """Note what came of lines that were taken out."""
        self._settled += sum(map(len, lines))
        if not written:
            self._lost += len(lines)

    def untold(self) -> int:
        """Return how many lines were dropped since this was asked last."""
        dropped = self.dropped
        untold, self._told = dropped - self._told, dropped
        return untold

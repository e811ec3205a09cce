"""Which parts of a file have arrived: in any order, some of them twice.

Layer 3, pure. What is here are numbers; the bytes are with the store. Neighbouring parts are joined, so a file that
comes in order is one run, however small its parts are.
"""

from bisect import bisect_right

from rawbot.onebot.retcodes import BAD_PARAM, FILE_MISMATCH, TIRED, ActionError

MAX_RUNS = 4096
"""Separate runs at once, which take 330 kB. A file of 100 MiB in shuffled parts of 64 KiB has about 400 of them at its
worst moment; without a bound, single bytes at every other place would take many times the memory of the file."""


class Fragments:
    """The runs of bytes received of a file of `total_size` bytes."""

    __slots__ = ("_ends", "_max_runs", "_starts", "received", "total_size")

    def __init__(self, total_size: int, *, max_runs: int = MAX_RUNS) -> None:
        self.total_size = total_size
        self.received = 0
        """How many bytes are there, each counted once."""
        self._max_runs = max_runs
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, offset: int, size: int) -> bool:
        """Note a part. True: it is new. False: all of it was there before, or it is empty.

        Raises `ActionError` for a part that is outside of the file, or that is partly new and partly not.
        """
        end = offset + size
        if offset < 0 or end > self.total_size:
            raise ActionError(BAD_PARAM, f"the part is not within the {self.total_size} bytes announced")
        if not size:
            return False
        after = bisect_right(self._starts, offset)
        before = after - 1
        if before >= 0 and self._ends[before] >= end:
            return False
        if (before >= 0 and self._ends[before] > offset) or (after < len(self._starts) and self._starts[after] < end):
            raise ActionError(FILE_MISMATCH, "the part overlaps another one that was received")
        self._join(before, after, offset, end)
        self.received += size
        return True

    def remove(self, offset: int, size: int) -> None:
        """Take back a part that `add` called new: its bytes could not be kept."""
        end = offset + size
        at = bisect_right(self._starts, offset) - 1
        start, stop = self._starts[at], self._ends[at]
        rest = [(a, b) for a, b in ((start, offset), (end, stop)) if a < b]
        self._starts[at : at + 1] = [a for a, _ in rest]
        self._ends[at : at + 1] = [b for _, b in rest]
        self.received -= size

    def demand_whole(self) -> None:
        """Raise `ActionError` unless every byte is there."""
        if self.received == self.total_size:
            return
        gap = self._ends[0] if self._starts and self._starts[0] == 0 else 0
        missing = self.total_size - self.received
        raise ActionError(FILE_MISMATCH, f"{missing} of {self.total_size} bytes are missing, the first at offset {gap}")

    def _join(self, before: int, after: int, offset: int, end: int) -> None:
        """Put a new run between two, and make one of those that touch."""
        touches_before = before >= 0 and self._ends[before] == offset
        touches_after = after < len(self._starts) and self._starts[after] == end
        if touches_before and touches_after:
            self._ends[before] = self._ends.pop(after)
            del self._starts[after]
        elif touches_before:
            self._ends[before] = end
        elif touches_after:
            self._starts[after] = offset
        elif len(self._starts) >= self._max_runs:
            raise ActionError(TIRED, "the parts received leave too many gaps: fill some first")
        else:
            self._starts.insert(after, offset)
            self._ends.insert(after, end)

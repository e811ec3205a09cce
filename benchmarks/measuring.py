"""How things are measured here: in interleaved rounds, by CPU time, with the spread beside the median.

A round gives each contender one turn, in an order that rotates. What makes the machine slow or fast for a while does so
for all of them, and a ratio is taken within each round before any median is. CPU time, not wall time, where one process
does the work: it leaves out what other processes took from us. The garbage collector stays on, since a server pays for
it too, and collects before each turn, so that nobody pays for a neighbour's garbage.
"""

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import process_time_ns

Figures = Mapping[str, float]
"""What one turn measured: value by name, the unit in the name."""

Turn = Callable[[], Figures]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of one contender: a value per round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        """The tenth percentile of the rounds."""
        return self._decile(0)

    @property
    def high(self) -> float:
        """The ninetieth percentile of the rounds."""
        return self._decile(-1)

    def __truediv__(self, other: "Series") -> "Series":
        """Return the ratio, round by round."""
        return Series(tuple(ours / theirs for ours, theirs in zip(self.rounds, other.rounds, strict=True)))

    def __add__(self, other: "Series") -> "Series":
        """Return the sum, round by round."""
        return Series(tuple(one + more for one, more in zip(self.rounds, other.rounds, strict=True)))

    def format(self, spec: str = ".2f") -> str:
        """Return `median (p10–p90)`."""
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"

    def format_rounds(self, spec: str = ".2f") -> str:
        """Return all rounds in the order in which they were run."""
        return " ".join(f"{value:{spec}}" for value in self.rounds)

    def to_json(self) -> dict[str, object]:
        """Return what goes into a record."""
        return {"median": self.median, "p10": self.low, "p90": self.high, "rounds": list(self.rounds)}

    def _decile(self, index: int) -> float:
        if len(self.rounds) == 1:
            return self.rounds[0]
        return statistics.quantiles(self.rounds, n=10, method="inclusive")[index]


Measured = dict[str, dict[str, Series]]
"""Contender, then figure."""


def interleave(
    turns: Mapping[str, Turn], rounds: int, *, progress: Progress, prepare: Callable[[], None] | None = None
) -> Measured:
    """Give each contender `rounds` turns, one per round. `prepare` is called before each round and not measured."""
    names = list(turns)
    taken: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        if prepare is not None:
            prepare()
        first = number % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            taken[name].append(turns[name]())
    return {name: _by_figure(figures) for name, figures in taken.items()}


def cpu_us(count: int, work: Callable[[], None]) -> float:
    """Return the CPU microseconds of this process for each of `count` things that `work` does."""
    began = process_time_ns()
    work()
    return (process_time_ns() - began) / count / 1000


def fitting(seconds: float, us_per_item: float, *, least: int = 1, most: int = 50_000) -> int:
    """Return how many items of this cost fit into so many seconds, within bounds."""
    return max(least, min(most, int(seconds * 1e6 / us_per_item)))


def to_json(measured: Measured) -> dict[str, object]:
    """Return what goes into a record."""
    return {name: {figure: series.to_json() for figure, series in row.items()} for name, row in measured.items()}


def _by_figure(turns: Sequence[Figures]) -> dict[str, Series]:
    return {figure: Series(tuple(turn[figure] for turn in turns)) for figure in turns[0]}

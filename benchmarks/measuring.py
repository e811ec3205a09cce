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


class Failed(Exception):  # noqa: N818 - it tells what a contender did, not that we are wrong
    """A contender cannot be measured: it does not start, is silent, or says something wrong. The text says which."""


class Contest:
    """Interleaved rounds that may be cut short, or lose a contender: what was measured until then can still be had."""

    def __init__(self, turns: Mapping[str, Turn]) -> None:
        self.failures: dict[str, str] = {}
        """What is wrong with those who are out of it."""
        self._turns = dict(turns)
        self._taken: dict[str, list[Figures]] = {name: [] for name in turns}

    def run(self, rounds: int, *, progress: Progress, prepare: Callable[[], None] | None = None) -> None:
        """Give each contender a turn per round. `prepare` is called before each round and not measured."""
        for number in range(rounds):
            if prepare is not None:
                prepare()
            names = list(self._turns)
            first = number % len(names) if names else 0
            for name in names[first:] + names[:first]:
                progress(f"round {number + 1} of {rounds}, {name}")
                self._take_turn(name)

    def measured(self) -> Measured:
        """Return what the complete rounds found, of those who were in all of them."""
        complete = min((len(self._taken[name]) for name in self._turns), default=0)
        return {name: _by_figure(self._taken[name][:complete]) for name in self._turns} if complete else {}

    def _take_turn(self, name: str) -> None:
        gc.collect()
        try:
            self._taken[name].append(self._turns[name]())
        except Failed as failure:
            self.failures[name] = str(failure)
            del self._turns[name]


def interleave(
    turns: Mapping[str, Turn], rounds: int, *, progress: Progress, prepare: Callable[[], None] | None = None
) -> Measured:
    """Give each contender `rounds` turns, one per round. `prepare` is called before each round and not measured."""
    contest = Contest(turns)
    contest.run(rounds, progress=progress, prepare=prepare)
    return contest.measured()


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

"""A roster on a clock that the test moves, for the tests of rawbot/crew/roster.py."""

from rawbot.crew.orders import Announce, Order, Patience, Tell
from rawbot.crew.roster import Roster

PATIENCE = Patience(start=10, graceful=20, steady=60, first_delay=1, longest_delay=30)
READY, RELOADING, STOPPING = Announce("ready"), Announce("reloading"), Announce("stopping")


class Stage:
    """A roster, a clock, and what it ordered: `orders` without the words, `words` for them."""

    def __init__(self, workers: int) -> None:
        self.roster = Roster(workers, patience=PATIENCE)
        self.now = 1000.0
        self.words: list[str] = []

    def heard(self, orders: list[Order]) -> list[Order]:
        self.words += [order.text for order in orders if isinstance(order, Tell)]
        return [order for order in orders if not isinstance(order, Tell)]

    def tick(self, seconds: float = 0.0) -> list[Order]:
        self.now += seconds
        return self.heard(self.roster.tick(self.now))

    def ready(self, *numbers: int) -> list[Order]:
        return [order for number in numbers for order in self.heard(self.roster.note_ready(number, self.now))]

    def stopping(self, number: int) -> list[Order]:
        return self.heard(self.roster.note_stopping(number, self.now))

    def end(self, number: int, status: int = 0) -> list[Order]:
        return self.heard(self.roster.note_end(number, status, self.now))

    def restart(self) -> list[Order]:
        return self.heard(self.roster.restart(self.now))

    def stop(self) -> list[Order]:
        return self.heard(self.roster.stop(self.now))

    @property
    def wait(self) -> float | None:
        return None if self.roster.deadline is None else self.roster.deadline - self.now


def opened(workers: int = 2) -> Stage:
    """Return a stage on which workers 1, 2, … are ready."""
    stage = Stage(workers)
    stage.tick()
    assert stage.ready(*range(1, workers + 1)) == [READY]
    stage.words.clear()
    return stage

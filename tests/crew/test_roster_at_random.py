"""rawbot/crew/roster.py under everything that can happen, in any order: what always holds, and that it ends well."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rawbot.crew.orders import Announce, Exit, Kill, Order, Patience, Start, Tell, Terminate
from rawbot.crew.roster import Phase, Roster

PATIENCE = Patience(start=10, graceful=20, steady=60, first_delay=1, longest_delay=30)


@dataclass
class Process:
    """A process as the system sees it, not as the roster does."""

    slot: int
    since: float
    ready: bool = False
    leaving: bool = False  # was asked to end, or said that it will
    killed: bool = False
    leaving_since: float = 0.0

    @property
    def serves(self) -> bool:
        return self.ready and not self.leaving and not self.killed


class RosterMachine(RuleBasedStateMachine):
    """Processes start, serve, hang and die; the operator restarts and stops; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.processes: dict[int, Process] = {}
        self.numbers = 0
        self.proven = False
        self.stops = 0
        self.exits: list[int] = []
        self.announced: list[str] = []
        self.killed_at_the_end = False

    @initialize(workers=st.integers(1, 3))
    def begin(self, workers: int) -> None:
        self.workers = workers
        self.roster = Roster(workers, patience=PATIENCE)
        self.obey(self.roster.tick(self.now))
        assert len(self.processes) == workers

    # What is ordered

    def obey(self, orders: list[Order]) -> None:
        for order in orders:
            assert not self.exits, "an order after the end"
            match order:
                case Start(number, slot):
                    self.start(number, slot)
                case Terminate(number):
                    self.terminate(number)
                case Kill(number):
                    process = self.processes[number]
                    assert not process.killed
                    process.killed = True
                    self.killed_at_the_end |= self.stops > 0
                case Announce(state):
                    self.announced.append(state)
                case Exit(status):
                    self.exits.append(status)
                case Tell(text):
                    assert text

    def start(self, number: int, slot: int) -> None:
        assert number == self.numbers + 1, "a number is used twice, or left out"
        assert self.stops == 0, "somebody starts although all are to end"
        self.numbers = number
        there = [process for process in self.processes.values() if process.slot == slot and not process.leaving]
        assert len(there) <= 1, "a third one for a place"
        if there:
            assert self.roster.phase is Phase.ROLLING
            assert there[0].serves, "a successor for somebody who is not ready"
            others = [process for process in self.processes.values() if process is not there[0]]
            assert all(process.serves for process in others), "two are replaced at once"
        self.processes[number] = Process(slot, self.now)

    def terminate(self, number: int) -> None:
        process = self.processes[number]
        assert not process.leaving, "asked to end twice"
        assert not process.killed
        process.leaving = True
        process.leaving_since = self.now
        if not self.stops:
            mates = [other for other in self.processes.values() if other.slot == process.slot and other.serves]
            assert len(mates) == 1, "the old one goes before the new one is ready"

    # What happens

    def any_of(self, data: st.DataObject, numbers: list[int]) -> int:
        return data.draw(st.sampled_from(numbers))

    def starting(self) -> list[int]:
        return [number for number, process in self.processes.items() if not process.ready]

    def serving(self) -> list[int]:
        return [number for number, process in self.processes.items() if process.serves]

    @precondition(lambda self: self.starting())
    @rule(data=st.data())
    def become_ready(self, data: st.DataObject) -> None:
        self.note_ready(self.any_of(data, self.starting()))

    def note_ready(self, number: int) -> None:
        process = self.processes[number]
        process.ready = True
        self.proven |= not process.leaving and not process.killed
        self.obey(self.roster.note_ready(number, self.now))

    @precondition(lambda self: self.serving())
    @rule(data=st.data())
    def say_that_it_ends(self, data: st.DataObject) -> None:
        number = self.any_of(data, self.serving())
        self.processes[number].leaving = True
        self.processes[number].leaving_since = self.now
        self.obey(self.roster.note_stopping(number, self.now))

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), status=st.sampled_from([0, 1, 3, -9, -15]))
    def die(self, data: st.DataObject, status: int) -> None:
        self.end(self.any_of(data, sorted(self.processes)), status)

    def end(self, number: int, status: int) -> None:
        del self.processes[number]
        self.obey(self.roster.note_end(number, status, self.now))
        assert self.roster.note_end(number, status, self.now) == []
        assert self.roster.note_ready(number, self.now) == []

    @rule(seconds=st.sampled_from([0.5, 5.0, 25.0, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        """Time passes as it does for the supervisor, which is woken at each deadline."""
        end = self.now + seconds
        while self.roster.deadline is not None and self.roster.deadline <= end:
            self.now = max(self.now, self.roster.deadline)
            self.obey(self.roster.tick(self.now))
        self.now = end

    @rule()
    def wake_for_nothing(self) -> None:
        assert self.roster.tick(self.now) == []

    @rule()
    def restart(self) -> None:
        self.obey(self.roster.restart(self.now))

    @precondition(lambda self: self.numbers > 6)
    @rule()
    def stop(self) -> None:
        self.stops += 1
        self.obey(self.roster.stop(self.now))
        assert self.stops < 2 or all(process.killed for process in self.processes.values())

    # What always holds

    @invariant()
    def everybody_is_waited_for_only_so_long(self) -> None:
        for process in self.processes.values():
            if process.killed:
                continue
            limit = process.leaving_since + PATIENCE.graceful if process.leaving else process.since + PATIENCE.start
            if process.leaving or not process.ready:
                assert self.roster.deadline is not None
                assert self.now <= self.roster.deadline <= limit

    @invariant()
    def no_place_stays_empty_while_there_is_hope(self) -> None:
        if self.stops or self.exits or not self.proven:
            return
        filled = {process.slot for process in self.processes.values() if not process.leaving}
        if len(filled) < self.workers:
            assert self.roster.deadline is not None
            assert self.roster.deadline <= self.now + PATIENCE.longest_delay

    @invariant()
    def it_is_over_when_nobody_is_left_to_wait_for(self) -> None:
        over = not self.processes and (self.stops > 0 or not self.proven)
        assert len(self.exits) == over
        if self.exits and self.stops:
            assert self.exits == [int(self.killed_at_the_end)]
        if self.exits:
            assert self.roster.deadline is None

    @invariant()
    def what_is_announced_makes_sense(self) -> None:
        assert self.announced.count("stopping") == (self.stops > 0)
        running = [state for state in self.announced if state != "stopping"]
        assert running[::2] == ["ready"] * len(running[::2])
        assert running[1::2] == ["reloading"] * len(running[1::2])
        if self.roster.phase is Phase.ROLLING:
            assert running[-1] == "reloading"
        if self.roster.phase is Phase.RUNNING:
            assert running[-1] == "ready"

    def teardown(self) -> None:
        """Let all go well from here: every place is filled by the newest, and a stop is clean and over."""
        if not hasattr(self, "roster"):
            return
        if self.proven and not self.stops:
            before = self.numbers
            self.obey(self.roster.restart(self.now))
            self.let_all_go_well()
            assert self.roster.phase is Phase.RUNNING
            assert self.announced[-1] == "ready"
            assert sorted(process.slot for process in self.processes.values()) == list(range(self.workers))
            assert all(number > before for number in self.processes)
        if not self.exits:
            while not self.stops:
                self.stop()
            self.let_all_go_well()
        assert len(self.exits) == 1

    def let_all_go_well(self) -> None:
        """Whoever starts becomes ready, whoever was asked to end does."""
        for _ in range(100):
            gone = [number for number, process in self.processes.items() if process.leaving or process.killed]
            if gone:
                self.end(gone[0], 0)
            elif self.starting():
                self.note_ready(self.starting()[0])
            elif not self.exits and self.roster.deadline is not None:
                self.let_time_pass(self.roster.deadline - self.now)
            else:
                return
        raise AssertionError("it goes on for ever")


RosterMachine.TestCase.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
test_whatever_happens = RosterMachine.TestCase

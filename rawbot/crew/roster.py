"""The roster: which worker processes are on duty, who follows whom, and who is sent home.

Layer 1, pure. What happened comes in with `now`, what is to be done goes back as orders; processes, signals and
sockets are the supervisor's work.

          says READY            is asked to end, or says STOPPING
    STARTING ────────▶ READY ────────────────────────▶ LEAVING
       │ too late        │ a second stop                 │ too late
       └─────────────────┴───────────▶ KILLED ◀──────────┘             (and from each of the four: GONE)

Three rules hold it together:

- **No place stays empty.** Who dies is followed at once, who dies young again and again ever later. The exception is
  the very first start: as long as no worker has ever been ready, a dead one is not followed, and when all are dead the
  roster gives up. What cannot start would not start in a loop either, and the operator shall see why.
- **The old one stays until the new one is ready.** A rolling restart replaces one worker after the other: whoever is of
  an older generation than the roster. The first of the new generation that does not come up ends the restart.
- **The end comes.** Who was asked to end and has not in time is killed, and so is everybody at a second stop.
"""

import enum
import math
from collections.abc import Iterator

from rawbot.crew.orders import START_FAILED, Announce, Exit, Kill, Order, Patience, Start, Tell, Terminate, describe
from rawbot.errors import ConfigError, StateError


class State(enum.Enum):
    """Where a worker stands; see the picture at the top of the file."""

    STARTING = enum.auto()
    READY = enum.auto()
    LEAVING = enum.auto()
    KILLED = enum.auto()
    GONE = enum.auto()


_STATES = {
    State.STARTING: (State.READY, State.LEAVING, State.KILLED, State.GONE),
    State.READY: (State.LEAVING, State.KILLED, State.GONE),
    State.LEAVING: (State.KILLED, State.GONE),
    State.KILLED: (State.GONE,),
    State.GONE: (),
}


class Phase(enum.Enum):
    """Where the whole stands."""

    OPENING = enum.auto()
    """Not all places have been filled yet."""
    RUNNING = enum.auto()
    ROLLING = enum.auto()
    """A rolling restart is under way."""
    STOPPING = enum.auto()
    OVER = enum.auto()


_PHASES = {
    Phase.OPENING: (Phase.RUNNING, Phase.STOPPING, Phase.OVER),
    Phase.RUNNING: (Phase.ROLLING, Phase.STOPPING),
    Phase.ROLLING: (Phase.RUNNING, Phase.STOPPING),
    Phase.STOPPING: (Phase.OVER,),
    Phase.OVER: (),
}


class _Worker:
    """One process."""

    __slots__ = ("deadline", "generation", "number", "ready_at", "slot", "state")

    def __init__(self, number: int, slot: "_Slot", generation: int, deadline: float) -> None:
        self.number = number
        self.slot = slot
        self.generation = generation
        self.deadline = deadline  # for being ready, or for being gone
        self.ready_at: float | None = None
        self.state = State.STARTING

    def move(self, state: State, deadline: float = math.inf) -> None:
        if state not in _STATES[self.state]:
            raise StateError(f"a worker cannot go from {self.state.name} to {state.name}")
        self.state = state
        self.deadline = deadline


class _Slot:
    """One place: who fills it, who is about to, and when it is to be filled while nobody does."""

    __slots__ = ("current", "due", "number", "successor", "young_deaths")

    def __init__(self, number: int, due: float) -> None:
        self.number = number
        self.due = due
        self.current: _Worker | None = None
        self.successor: _Worker | None = None
        self.young_deaths = 0


class Roster:
    """Keeps `workers` places filled. Each method returns the orders to carry out, in their order.

    The caller tells each event when it happens, and calls `tick` to begin and whenever `deadline` has come. What is
    told of a worker that is gone changes nothing. Raises `ConfigError` for less than one worker.
    """

    def __init__(self, workers: int, *, patience: Patience | None = None) -> None:
        if workers < 1:
            raise ConfigError("there must be at least one worker")
        self._patience = patience or Patience()
        self._slots = [_Slot(number, -math.inf) for number in range(workers)]
        self._workers: dict[int, _Worker] = {}
        self._started = 0
        self._generation = 0
        self._phase = Phase.OPENING
        self._proven = False  # whether any worker was ever ready
        self._failure = 0  # how the first one ended that was not
        self._status = 0

    @property
    def phase(self) -> Phase:
        """Where the whole stands."""
        return self._phase

    @property
    def deadline(self) -> float | None:
        """When to call `tick` although nothing has happened; None for never."""
        times = [worker.deadline for worker in self._workers.values()]
        if self._phase not in (Phase.STOPPING, Phase.OVER):
            times += [slot.due for slot in self._slots if slot.current is None]
        soonest = min(times, default=math.inf)
        return None if soonest == math.inf else soonest

    # What the caller tells

    def tick(self, now: float) -> list[Order]:
        """Begin, or go on: do what is due."""
        return [*self._kill_late(now), *self._settle(now)]

    def note_ready(self, number: int, now: float) -> list[Order]:
        """Note that a worker serves."""
        worker = self._workers.get(number)
        if worker is None or worker.state is not State.STARTING:
            return []
        worker.move(State.READY)
        worker.ready_at = now
        orders: list[Order] = [Tell("is ready", number)]
        if not self._proven:
            self._proven = True
            self._fill_empty(now)
        slot = worker.slot
        if slot.successor is worker:
            old, slot.current, slot.successor = slot.current, worker, None
            orders += self._send_home(old, now)
        return orders + self._settle(now)

    def note_stopping(self, number: int, now: float) -> list[Order]:
        """Note that a worker ends by its own will: its place is filled while it still finishes what it does."""
        worker = self._workers.get(number)
        if worker is None or worker.state is not State.READY:
            return []
        worker.move(State.LEAVING, now + self._patience.graceful)
        self._vacate(worker, now)
        return [Tell("is about to end by itself", number), *self._settle(now)]

    def note_end(self, number: int, status: int, now: float) -> list[Order]:
        """Note that a worker is gone, with its exit status; a negative one is the signal that ended it."""
        worker = self._workers.pop(number, None)
        if worker is None:
            return []
        state = worker.state
        worker.move(State.GONE)
        orders: list[Order] = []
        if worker in (worker.slot.current, worker.slot.successor):
            orders += self._mourn(worker, state, status)
            self._vacate(worker, now)
        return orders + self._settle(now)

    def restart(self, now: float) -> list[Order]:
        """Replace all workers, one after the other. Places that wait to be filled are filled now."""
        if self._phase in (Phase.STOPPING, Phase.OVER):
            return []
        self._generation += 1
        for slot in self._slots:
            slot.young_deaths = 0
        self._fill_empty(now)
        return self._settle(now)

    def stop(self, now: float) -> list[Order]:
        """Send everybody home; asked again, kill whoever is still there."""
        if self._phase is Phase.OVER:
            return []
        if self._phase is Phase.STOPPING:
            return [order for worker in self._workers.values() for order in self._kill(worker)]
        self._move(Phase.STOPPING)
        orders: list[Order] = [Announce("stopping")]
        for slot in self._slots:
            orders += [*self._send_home(slot.current, now), *self._send_home(slot.successor, now)]
            slot.current = slot.successor = None
        return orders + self._settle(now)

    # What follows from it

    def _move(self, phase: Phase) -> None:
        if phase not in _PHASES[self._phase]:
            raise StateError(f"a roster cannot go from {self._phase.name} to {phase.name}")
        self._phase = phase

    def _settle(self, now: float) -> list[Order]:
        """Do what the present state asks for."""
        if self._phase is Phase.OVER:
            return []
        if self._phase is Phase.STOPPING:
            return [] if self._workers else self._exit(self._status)
        if self._hopeless():
            return [Tell("no worker could start: giving up", fault=True), *self._exit(self._failure)]
        orders: list[Order] = []
        for slot in self._slots:
            if slot.current is None and slot.due <= now:
                slot.current = self._hire(slot, now)
                orders.append(Start(slot.current.number, slot.number))
        return orders + list(self._advance(now))

    def _hopeless(self) -> bool:
        """Tell whether all have died before any was ready: none is there, and none is due."""
        return not self._proven and all(slot.current is None and slot.due == math.inf for slot in self._slots)

    def _exit(self, status: int) -> list[Order]:
        self._move(Phase.OVER)
        return [Exit(status)]

    def _advance(self, now: float) -> Iterator[Order]:
        """Take the next step of the opening or of a rolling restart, when all places are filled."""
        current = [slot.current for slot in self._slots if slot.current and slot.current.state is State.READY]
        if len(current) < len(self._slots):
            return
        if self._phase is Phase.OPENING:
            self._move(Phase.RUNNING)
            yield Announce("ready")
        old = next((worker for worker in current if worker.generation < self._generation), None)
        if old is not None and self._phase is Phase.RUNNING:
            self._move(Phase.ROLLING)
            yield Announce("reloading")
            yield Tell("replacing all workers, one after the other")
        if self._phase is Phase.RUNNING or len(self._workers) > len(current):
            return  # one after the other: a successor is starting, or somebody has not left yet
        if old is not None:
            old.slot.successor = self._hire(old.slot, now)
            yield Start(old.slot.successor.number, old.slot.number)
            return
        self._move(Phase.RUNNING)
        yield Announce("ready")
        yield Tell("all workers are replaced")

    def _hire(self, slot: _Slot, now: float) -> _Worker:
        self._started += 1
        worker = _Worker(self._started, slot, self._generation, now + self._patience.start)
        self._workers[worker.number] = worker
        return worker

    def _send_home(self, worker: _Worker | None, now: float) -> list[Order]:
        """Ask a worker to end, if there is one and it was not killed for being late."""
        if worker is None or worker.state is State.KILLED:
            return []
        worker.move(State.LEAVING, now + self._patience.graceful)
        return [Terminate(worker.number)]

    def _kill(self, worker: _Worker) -> list[Order]:
        if worker.state is State.KILLED:
            return []
        if self._phase is Phase.STOPPING:
            self._status = 1  # which is no clean end
        worker.move(State.KILLED)
        return [Kill(worker.number)]

    def _kill_late(self, now: float) -> Iterator[Order]:
        for worker in [worker for worker in self._workers.values() if worker.deadline <= now]:
            if worker.state is State.STARTING:
                text = f"was not ready within {self._patience.start:g} s: it is killed"
            else:
                text = f"has not ended within {self._patience.graceful:g} s: it is killed"
            yield Tell(text, worker.number, fault=True)
            yield from self._kill(worker)

    def _mourn(self, worker: _Worker, state: State, status: int) -> Iterator[Order]:
        """Tell of a death that nobody asked for, and what it means for the whole."""
        failed = worker.ready_at is None
        killed = state is State.KILLED  # by us, for being late: that was told
        if failed and not self._failure:
            self._failure = START_FAILED if killed or not status else status if status > 0 else 128 - status
        if not killed:
            yield Tell(describe(status) + (", before it was ready" if failed else ""), worker.number, fault=True)
        if failed and self._phase is Phase.ROLLING and worker.generation == self._generation:
            yield from self._give_up_rolling()

    def _give_up_rolling(self) -> Iterator[Order]:
        """Keep whoever is there: from now on they are of the present generation."""
        for worker in self._workers.values():
            worker.generation = self._generation
        self._move(Phase.RUNNING)
        yield Announce("ready")
        yield Tell("what is new does not start: the workers that are left stay", fault=True)

    def _vacate(self, worker: _Worker, now: float) -> None:
        """Take a worker from its place, which its successor gets if there is one, or which is to be filled again."""
        slot = worker.slot
        if slot.successor is worker:
            slot.successor = None
            return
        slot.current, slot.successor = slot.successor, None
        steady = worker.ready_at is not None and now - worker.ready_at >= self._patience.steady
        slot.young_deaths = 0 if steady else slot.young_deaths + 1
        slot.due = now + self._patience.delay(slot.young_deaths) if self._proven else math.inf

    def _fill_empty(self, now: float) -> None:
        for slot in self._slots:
            if slot.current is None:
                slot.due = now

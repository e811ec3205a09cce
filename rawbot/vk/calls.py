"""The calls that are open: each waits, is under way or waits for another try, and has one end.

Layer 3, pure. Time comes in as `now`, Unix seconds. What the calls are and how they end is not known here.
"""

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count, takewhile
from math import inf

from rawbot.errors import ConfigError, StateError
from rawbot.vk.errors import VKError
from rawbot.vk.methods import EncodedCall

JITTER = 1.0
"""Seconds by which two readings of the clock may be out of order without its having been set."""

SPARE = 64
"""Ends of calls that are over and may be kept beyond as many as there are open calls."""


_OF_REQUESTS = frozenset(("v", "lang", "captcha_sid", "captcha_key", "success_token"))
"""Parameters of a request, not of a method: `execute` has its own."""


class Phase(Enum):
    """Where a call stands."""

    NEW = "new"
    WAITING = "waiting"
    UNDER_WAY = "under way"
    LATER = "waits for another try"
    OVER = "over"


NEW, WAITING, UNDER_WAY, LATER, OVER = Phase

_MOVES = {
    NEW: {WAITING, OVER},
    WAITING: {UNDER_WAY, OVER},
    UNDER_WAY: {WAITING, LATER, OVER},
    LATER: {WAITING, OVER},
    OVER: set[Phase](),
}


def always() -> bool:
    """Return True: somebody waits for it to the end."""
    return True


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """One call of a method, or one upload."""

    method: str
    fields: dict[str, str]
    on_done: Callable[[object], None]
    timeout: float
    """Seconds from when it began to wait to its end at the latest."""
    idempotent: bool = False
    """Whether it may be made again though it may have taken effect."""
    wanted: Callable[[], bool] = always
    """Whether anybody still waits for it."""
    upload: EncodedCall | None = None
    """The whole request, of an upload."""
    decode: Callable[[int, bytes], object] | None = None
    """Makes the result of an answer, or raises `VKError`; None for a method's."""
    number: int = 0
    phase: Phase = NEW
    since: float = inf
    """When it began to wait."""
    expires_at: float = inf
    tries: int = 0
    """How often it was repeated."""
    alone: bool = False
    """Whether it may not share a request with others any more."""
    failure: VKError | None = None
    """What came of the last try."""

    def __repr__(self) -> str:
        return f"<Call {self.method}, {self.phase.value}>"  # the fields are what users write, or read

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.phase is OVER

    @property
    def shareable(self) -> bool:
        """Whether `execute` may carry it."""
        own = self.upload is not None or self.method.startswith("execute") or not _OF_REQUESTS.isdisjoint(self.fields)
        return not (own or self.alone)


class CallQueue:
    """Open calls in the order in which they came. At most `max_waiting` wait, those for another try included.

    A new call gets its times at the next `advance`, which comes before anything else that is told the time. When the
    clock was set back, all times that are kept go back with it.
    """

    def __init__(self, max_waiting: int) -> None:
        if max_waiting < 1:
            raise ConfigError("max_waiting must be at least 1")
        self._max_waiting = max_waiting
        self._numbers = count(1)
        self._open: dict[int, Call] = {}
        self._phases: Counter[Phase] = Counter()
        self._new: list[Call] = []
        self._line: OrderedDict[int, Call] = OrderedDict()
        """Those new or waiting."""
        self._later: list[tuple[float, int, Call]] = []
        self._ends: list[tuple[float, int, Call]] = []
        """Heaps by time. Those that are over are taken out when they are met, or when they are the most."""
        self._now = -inf

    @property
    def now(self) -> float:
        """The time of the last `advance`."""
        return self._now

    def __len__(self) -> int:
        """Count those that wait, for the first time or again."""
        return len(self._open) - self._phases[UNDER_WAY]

    def add(self, call: Call) -> bool:
        """Take in a new call; False when there is no room."""
        if len(self) >= self._max_waiting:
            return False
        call.number = next(self._numbers)
        self._open[call.number] = call
        self._phases[call.phase] += 1
        self._new.append(call)
        self._line[call.number] = call
        return True

    def advance(self, now: float) -> tuple[list[Call], float]:
        """Let time pass: return the calls whose time is over, and by how many seconds the clock was set back."""
        behind = self._now - now
        set_back = behind if behind > JITTER else 0.0
        if set_back:
            self._shift(-set_back)
        if behind <= 0 or set_back:
            self._now = now
        for call in self._new:
            self._begin(call)
        self._new.clear()
        for call in reversed(self._reached(self._later)):
            self.put_back(call)
        return self._reached(self._ends), set_back

    def head(self) -> Call | None:
        """Return the first that waits."""
        return next(self.waiting(), None)

    def waiting(self) -> Iterator[Call]:
        """Go through those that wait, in their order, without taking them. Nothing may be changed meanwhile."""
        return takewhile(lambda call: call.phase is WAITING, self._line.values())  # the new ones stand behind

    def take(self, call: Call) -> None:
        """Let a waiting call be under way."""
        self._move(call, UNDER_WAY)
        del self._line[call.number]

    def put_back(self, call: Call) -> None:
        """Let a call that was taken before wait in front of all others."""
        self._move(call, WAITING)
        self._line[call.number] = call
        self._line.move_to_end(call.number, last=False)

    def put_off(self, call: Call, until: float) -> None:
        """Let a call that was under way wait for its next try until then."""
        self._move(call, LATER)
        heapq.heappush(self._later, (until, call.number, call))

    def finish(self, call: Call) -> None:
        """Let a call be over, wherever it stands; what it held is let go."""
        self._line.pop(call.number, None)
        self._move(call, OVER)
        del self._open[call.number]
        call.fields, call.upload = {}, None
        if len(self._ends) > 2 * len(self._open) + SPARE:
            self._ends = [entry for entry in self._ends if not entry[2].over]
            heapq.heapify(self._ends)

    def open_calls(self) -> list[Call]:
        """Return all that are not over."""
        return list(self._open.values())

    @property
    def due(self) -> float:
        """When the first call's time is over, or its next try due; `inf` for never."""
        for heap in (self._ends, self._later):
            while heap and heap[0][2].over:
                heapq.heappop(heap)
        return min(heap[0][0] if heap else inf for heap in (self._ends, self._later))

    def _begin(self, call: Call) -> None:
        if call.over:
            return
        call.since = self._now
        call.expires_at = self._now + call.timeout
        heapq.heappush(self._ends, (call.expires_at, call.number, call))
        self._move(call, WAITING)

    def _reached(self, heap: list[tuple[float, int, Call]]) -> list[Call]:
        """Take out those whose time has come, and leave out those that are over."""
        found = []
        while heap and heap[0][0] <= self._now:
            found.append(heapq.heappop(heap)[2])
        return [call for call in found if not call.over]

    def _move(self, call: Call, phase: Phase) -> None:
        if phase not in _MOVES[call.phase]:
            raise StateError(f"a call that is {call.phase.value} cannot become {phase.value}")
        self._phases[call.phase] -= 1
        call.phase = phase
        if phase is not OVER:
            self._phases[phase] += 1

    def _shift(self, seconds: float) -> None:
        for call in self._open.values():
            call.since += seconds
            call.expires_at += seconds
        self._later = [(at + seconds, number, call) for at, number, call in self._later]
        self._ends = [(at + seconds, number, call) for at, number, call in self._ends]

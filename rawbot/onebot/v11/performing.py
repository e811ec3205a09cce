"""Carries out calls of OneBot 11: each step by OneBot 12's actions, the answer at once or when the last step is done.

Layer 3, pure. Source: OneBot 11, api (suffixes). A call with the suffix `_async` is answered before it is carried out,
as is one with `_rate_limited`, which waits for its turn: those of one bot begin one interval apart at the least. Such a
call may fail, and nobody hears of it.
"""

import math
from collections import deque
from collections.abc import Callable
from functools import partial

from rawbot.errors import ConfigError
from rawbot.event import Event
from rawbot.onebot.codec import JSON
from rawbot.onebot.messages import Account
from rawbot.onebot.performing import Performer
from rawbot.onebot.retcodes import TIRED, ActionError
from rawbot.onebot.v11.calls import V11Call, http_status
from rawbot.onebot.v11.face import Face, Json

RATE_LIMIT_INTERVAL = 500
"""Milliseconds (OneBot 11, api: `api.rate_limit_interval`)."""

MAX_QUEUED = 1000
"""Rate-limited calls of one bot that wait: more than eight minutes of them."""

Dispatch = Callable[[Event], None]
"""Starts a handler: the shell's."""

Tell = Callable[[bytes, int], None]
"""Takes an encoded answer, and the status that it has in HTTP."""


class V11Performer:
    """Carries out the calls of one implementation, in which `performer` carries out their steps.

    `rate_limit_interval` is in milliseconds; `clock` gives Unix time.
    """

    def __init__(
        self,
        performer: Performer,
        *,
        clock: Callable[[], float],
        rate_limit_interval: int = RATE_LIMIT_INTERVAL,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        if rate_limit_interval < 0 or max_queued < 1:
            raise ConfigError("rate_limit_interval must be 0 or more milliseconds, max_queued 1 or more")
        self._performer = performer
        self._clock = clock
        self._interval = rate_limit_interval / 1000
        self._max_queued = max_queued
        self._queues: dict[Account, _Queue] = {}

    def __len__(self) -> int:
        """Count the calls that wait for their turn."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return min((queue.free_at for queue in self._queues.values() if queue.waiting), default=math.inf)

    def perform(self, call: V11Call, face: Face, dispatch: Dispatch, tell: Tell) -> None:
        """Carry out a call. `tell` is called once, within this call if nothing has to be waited for."""
        if call.request is None:  # it was none, or needs nothing of 12: nobody else has counted it
            self._answer_at_once(call, tell)
        elif call.is_rate_limited:
            self._enqueue(call, face, dispatch, tell)
        elif call.is_async:
            tell(call.encode_accepted(JSON.encode), 200)
            _Run(call, self._performer, dispatch, _nothing).go_on()
        else:
            _Run(call, self._performer, dispatch, partial(_answer, tell=tell)).go_on()

    def tick(self, now: float) -> None:
        """Begin what has its turn."""
        for queue in tuple(self._queues.values()):
            queue.free_at = min(queue.free_at, now + self._interval)  # the clock may have been set back since
            if queue.waiting and now >= queue.free_at:
                queue.free_at = now + self._interval
                queue.waiting.popleft().go_on()

    def drain(self) -> None:
        """Drop what waits: there will be no time for it."""
        for queue in self._queues.values():
            queue.waiting.clear()

    def _enqueue(self, call: V11Call, face: Face, dispatch: Dispatch, tell: Tell) -> None:
        queue, now = self._queues.setdefault(face.bot, _Queue()), self._clock()
        if len(queue.waiting) >= self._max_queued:
            call.refuse(ActionError(TIRED, "too many rate-limited calls wait already"))
            self._answer_at_once(call, tell)
            return
        tell(call.encode_accepted(JSON.encode), 200)
        queue.waiting.append(_Run(call, self._performer, dispatch, _nothing))
        self.tick(now)

    def _answer_at_once(self, call: V11Call, tell: Tell) -> None:
        has_failed = call.response["status"] == "failed"
        self._performer.performed += 1
        self._performer.failed += has_failed
        if (call.is_async or call.is_rate_limited) and not has_failed:
            tell(call.encode_accepted(JSON.encode), 200)
        else:
            _answer(call, tell)


class _Queue:
    """The rate-limited calls of one bot."""

    __slots__ = ("free_at", "waiting")

    def __init__(self) -> None:
        self.free_at = -math.inf
        """When the next one may begin."""
        self.waiting: deque[_Run] = deque()


class _Values:
    """Gives responses as they are, for the next step (`performing.Form`)."""

    @staticmethod
    def encode(value: object) -> Json:
        """Return a response, which is an object."""
        return value if isinstance(value, dict) else {}


_VALUES = _Values()


class _Run:
    """A call that is being carried out. However many steps it has, none is made from within the one before."""

    __slots__ = ("_call", "_dispatch", "_done", "_looping", "_performer", "_waits")

    def __init__(
        self, call: V11Call, performer: Performer, dispatch: Dispatch, done: Callable[[V11Call], None]
    ) -> None:
        self._call = call
        self._performer = performer
        self._dispatch = dispatch
        self._done = done
        self._looping = False
        self._waits = False

    def go_on(self) -> None:
        """Make one step after the other, until one has to be waited for."""
        self._looping = True
        while (request := self._call.request) is not None and not self._waits:
            self._waits = True
            event = self._performer.perform(request, _VALUES, self._take)
            if event is not None:
                self._dispatch(event)
        self._looping = False
        if not self._waits:
            self._done(self._call)

    def _take(self, response: Json) -> None:
        self._waits = False
        self._call.receive(response)
        if not self._looping:
            self.go_on()


def _answer(call: V11Call, tell: Tell) -> None:
    data = call.encode(JSON.encode)
    tell(data, http_status(call.response))


def _nothing(_call: V11Call) -> None:
    pass

"""VK's schedule of retries over its whole 6190 seconds, on a clock of the test's: each handler runs once per event.

Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started): what is not answered well comes again after 10 s,
3 min, 10 min, 30 min and 1 h, and then no more; an answer with Retry-After names the time itself.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_journal import MemoryJournal
from vk_platform import NOW, Door
from vk_samples import USER, Json, callback, new_message

from rawbot.event import Event
from rawbot.vk.endpoint import RETRY_AFTER
from rawbot.vk.register import RETRIED_FOR

RETRIES = (10.0, 180.0, 600.0, 1800.0, 3600.0)

Lose = Callable[[int, int], bool]
"""Whether the answer to the n-th attempt of an event gets lost."""


def body(number: int) -> Json:
    return callback(value=new_message(cmid=number, peer_id=USER + number % 3)) | {"event_id": f"{number:040x}"}


class Schedule:
    """VK, a bot whose handlers take `seconds`, and a machine that may lose power."""

    def __init__(self, *, seconds: float = 0.0, journal: MemoryJournal | None = None, **options: object) -> None:
        self.now = NOW
        self.seconds = seconds
        self.journal = journal
        self.options = options
        self.lose: Lose = lambda *_: False
        self.fails: Callable[[int, int], bool] = lambda *_: False
        """Whether the n-th run of an event's handler fails."""
        self.begun = Counter[int]()
        self.done = Counter[int]()
        self.attempts = Counter[int]()
        self.acknowledged: set[int] = set()
        self.given_up: set[int] = set()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._process = 0
        self.door = self.boot()

    def boot(self) -> Door:
        """Begin in a new process; what ran in the one before is gone."""
        self._process += 1
        self.door = Door(journal=self.journal, **self.options)
        self.handle()
        return self.door

    def crash(self) -> None:
        self.boot()

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._order), call))

    def send(self, number: int) -> None:
        """Make the next attempt to bring this event."""
        tries = self.attempts[number]
        self.attempts[number] += 1
        response = self.door.post(body(number), tries=tries)
        self.handle()
        if response.body == b"ok":
            self.acknowledged.add(number)
            if not self.lose(number, tries):
                return
        if tries == len(RETRIES):
            self.given_up.add(number)
            return
        later = dict(response.headers).get(b"retry-after")
        self.at(self.now + (float(later) if later else RETRIES[tries]), lambda: self.send(number))

    def handle(self) -> None:
        """Begin with the events that the bot was told of."""
        while self.door.events:
            event = self.door.events.pop(0)
            number = int(event.message_id)
            self.begun[number] += 1
            process = self._process
            self.at(self.now + self.seconds, lambda event=event, process=process: self.end(event, process))

    def end(self, event: Event, process: int) -> None:
        if process != self._process:
            return
        number = int(event.message_id)
        if self.fails(number, self.begun[number]):
            event.reply.fail()
            return
        event.reply.write("готово")
        event.reply.finish()
        self.done[number] += 1

    def run(self, seconds: float = RETRIED_FOR + 1000) -> None:
        """Let time pass, with all that is due in it."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, call = heapq.heappop(self._timers)
            self.now = self.door.now = max(self.now, when)
            self.door.endpoint.tick(self.now)
            call()
        self.now = self.door.now = end
        self.door.endpoint.tick(end)


@pytest.mark.parametrize("seconds", [0.0, 5.0, 100.0, 10_000.0])
def test_an_event_that_comes_six_times_is_handled_once(seconds: float):
    schedule = Schedule(seconds=seconds)
    schedule.lose = lambda *_: True
    schedule.send(1)
    schedule.run(20_000)
    assert schedule.attempts == {1: 6}
    assert (schedule.begun, schedule.done) == ({1: 1}, {1: 1})
    assert schedule.given_up == {1}
    assert schedule.door.endpoint.retries == {str(tries): 1 for tries in range(6)}


def test_the_schedule_is_as_long_as_the_register_remembers():
    assert sum(RETRIES) == RETRIED_FOR
    assert all(later <= retry for later, retry in zip(RETRY_AFTER, RETRIES, strict=True))


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_a_handler_that_fails_runs_again_with_each_retry_till_it_is_done(failures: int):
    schedule = Schedule()
    schedule.lose = lambda *_: True
    schedule.fails = lambda _, run: run <= failures
    schedule.send(1)
    schedule.run()
    assert (schedule.begun, schedule.done) == ({1: failures + 1}, {1: 1})


def test_a_retry_that_comes_while_the_handler_runs_does_not_begin_another():
    schedule = Schedule(seconds=15.0)
    schedule.lose = lambda _, tries: tries == 0
    schedule.send(1)
    schedule.run()
    assert (schedule.attempts, schedule.begun, schedule.done) == ({1: 2}, {1: 1}, {1: 1})


def test_a_crash_between_two_attempts_runs_nothing_twice_and_loses_nothing():
    for crash_at in (0.5, 9.0, 11.0, 185.0, 195.0, 3000.0, 6185.0):
        schedule = Schedule(seconds=1.0, journal=MemoryJournal())
        schedule.lose = lambda *_: True
        schedule.at(NOW + crash_at, schedule.crash)
        schedule.send(1)
        schedule.run()
        assert schedule.done == {1: 1}
        assert schedule.begun == {1: 2 if crash_at < 1.0 else 1}


def test_an_event_that_was_acknowledged_survives_the_crash_that_vk_never_hears_of():
    schedule = Schedule(seconds=5.0, journal=MemoryJournal())
    schedule.at(NOW + 2, schedule.crash)
    schedule.send(1)
    schedule.run()
    assert (schedule.attempts, schedule.done) == ({1: 1}, {1: 1})


def test_what_is_put_off_is_handled_within_vks_attempts():
    schedule = Schedule(seconds=400.0, max_running=1)
    for number in (1, 2, 3, 4):
        schedule.send(number)
    schedule.run()
    assert schedule.done == dict.fromkeys((1, 2, 3, 4), 1)
    assert schedule.given_up == set()


ATTEMPTS = st.sets(st.tuples(st.integers(1, 4), st.integers(0, 5)))


@settings(max_examples=200)
@given(
    lost=ATTEMPTS,
    failing=st.sets(st.tuples(st.integers(1, 4), st.integers(1, 2))),
    crashes=st.lists(st.floats(0, RETRIED_FOR), max_size=6),
    duplicates=st.lists(st.tuples(st.integers(1, 4), st.floats(0, RETRIED_FOR)), max_size=6),
    seconds=st.sampled_from([0.0, 1.0, 30.0, 700.0]),
    max_running=st.sampled_from([1, 2, 100]),
)
def test_whatever_is_lost_or_comes_twice_or_crashes_each_event_is_done_once(
    *,
    lost: set[tuple[int, int]],
    failing: set[tuple[int, int]],
    crashes: list[float],
    duplicates: list[tuple[int, float]],
    seconds: float,
    max_running: int,
):
    schedule = Schedule(seconds=seconds, journal=MemoryJournal(), max_running=max_running)
    schedule.lose = lambda number, tries: (number, tries) in lost
    schedule.fails = lambda number, run: (number, run) in failing
    for when in crashes:
        schedule.at(NOW + when, schedule.crash)
    for number in (1, 2, 3, 4):
        schedule.at(NOW + number, lambda number=number: schedule.send(number))
    for number, when in duplicates:
        schedule.at(NOW + 5 + when, lambda number=number: schedule.door.post(body(number)) and schedule.handle())
    schedule.run(20_000)
    assert max(schedule.done.values(), default=0) <= 1
    entries = schedule.journal.rows.values()
    for number in (1, 2, 3, 4):
        ended = [entry.ended for entry in entries if f"{number:040x}" in entry.key]
        failed = any(number == other for other, _ in failing)
        assert schedule.done[number] == 1 or failed or number not in schedule.acknowledged
        assert number in schedule.acknowledged | schedule.given_up
        assert None not in ended

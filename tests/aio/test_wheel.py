"""rawbot/aio/wheel.py on a clock that the test moves: no waiting, and every timer of the loop's is counted."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.aio.wheel import TICK, TimerWheel


class Handle:
    def __init__(self, when: float, call: Callable[[], object]) -> None:
        self.when = when
        self.call = call
        self.alive = True

    def cancel(self):
        self.alive = False


class Clock:
    """An event loop as far as the wheel needs one."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.handles = []
        self.failures: list[Exception] = []

    def time(self):
        return self.now

    def call_soon(self, call: Callable[..., object], *arguments: object):
        call(*arguments)

    def call_at(self, when: float, call: Callable[[], object]):
        self.handles.append(Handle(when, call))
        return self.handles[-1]

    @property
    def timers(self):
        self.handles = [handle for handle in self.handles if handle.alive]
        return self.handles

    def run_until(self, end: float):
        while due := [handle for handle in self.timers if handle.when <= end]:
            handle = min(due, key=lambda handle: handle.when)
            handle.alive = False
            self.now = max(self.now, handle.when)
            handle.call()
        self.now = end


class Alarm:
    def __init__(self, clock: Clock, then: Callable[[], object] = lambda: None) -> None:
        self.clock = clock
        self.then = then
        self.rung = []

    def on_deadline(self):
        self.rung.append(self.clock.now)
        self.then()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wheel(clock: Clock):
    return TimerWheel(clock, clock.failures.append)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1, 30), min_size=1, max_size=20))
def test_a_deadline_comes_once_never_early_and_at_most_a_tick_late(seconds: list[float]):
    clock = Clock()
    wheel = TimerWheel(clock, clock.failures.append)
    alarms = [Alarm(clock) for _ in seconds]
    for alarm, after in zip(alarms, seconds, strict=True):
        wheel.add(alarm, 1000 + after)
        assert len(clock.timers) == 1
    assert len(wheel) == len(alarms)
    clock.run_until(1040)
    for alarm, after in zip(alarms, seconds, strict=True):
        (rung,) = alarm.rung
        assert max(1000, 1000 + after) <= rung <= max(1000, 1000 + after) + TICK + 1e-6
    assert len(wheel) == 0
    assert clock.timers == []


def test_what_was_taken_out_does_not_ring(clock: Clock, wheel: TimerWheel):
    kept, dropped = Alarm(clock), Alarm(clock)
    wheel.add(kept, 1001)
    wheel.discard(dropped, wheel.add(dropped, 1001))
    assert len(wheel) == 1
    clock.run_until(1002)
    assert (len(kept.rung), dropped.rung) == (1, [])


def test_taking_out_what_has_rung_does_nothing(clock: Clock, wheel: TimerWheel):
    alarm = Alarm(clock)
    bucket = wheel.add(alarm, 1001)
    clock.run_until(1002)
    wheel.discard(alarm, bucket)
    assert len(alarm.rung) == 1


def test_who_looks_again_later_leaves_one_timer_behind_however_often(clock: Clock, wheel: TimerWheel):
    alarm = Alarm(clock)
    alarm.then = lambda: wheel.add(alarm, clock.now + 1)
    wheel.add(alarm, 1001)
    for second in range(1002, 1030):
        clock.run_until(second)
        assert len(clock.timers) == 1
    assert len(alarm.rung) > 20


def test_one_failing_deadline_does_not_stop_the_others(clock: Clock, wheel: TimerWheel):
    def fail():
        raise ZeroDivisionError

    failing, same, later = Alarm(clock, fail), Alarm(clock), Alarm(clock)
    for alarm, when in ((failing, 1001), (same, 1001), (later, 1002)):
        wheel.add(alarm, when)
    clock.run_until(1003)
    assert [len(alarm.rung) for alarm in (failing, same, later)] == [1, 1, 1]
    assert [type(error) for error in clock.failures] == [ZeroDivisionError]


def test_a_closed_wheel_holds_neither_deadlines_nor_a_timer(clock: Clock, wheel: TimerWheel):
    alarm = Alarm(clock)
    bucket = wheel.add(alarm, 1001)
    wheel.close()
    wheel.close()
    wheel.discard(alarm, bucket)
    assert len(wheel) == 0
    assert clock.timers == []

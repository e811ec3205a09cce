"""rawbot/crew/rehearsal.py: one worker at a time, again at each change, and an end."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rawbot.crew.orders import Announce, Exit, Kill, Order, Start, Tell, Terminate
from rawbot.crew.rehearsal import Rehearsal, Scene
from rawbot.errors import ConfigError, StateError

STOPPING = Announce("stopping")


def acts(orders: list[Order]) -> list[Order]:
    return [order for order in orders if not isinstance(order, Tell)]


def words(orders: list[Order]) -> list[str]:
    return [order.text for order in orders if isinstance(order, Tell)]


@pytest.fixture
def rehearsal() -> Rehearsal:
    """Return one whose worker 1 has been started at 100."""
    rehearsal = Rehearsal(graceful=5)
    assert rehearsal.tick(100) == [Start(1, 0)]
    return rehearsal


def test_a_change_ends_the_worker_and_the_next_one_starts_when_it_is_gone(rehearsal: Rehearsal):
    assert rehearsal.note_ready(1, 101) == [Tell("is ready", 1), Announce("ready")]
    changed = rehearsal.restart(102)
    assert (acts(changed), words(changed)) == ([Terminate(1)], ["is started again: something was changed"])
    assert rehearsal.note_stopping(1, 102) == []
    assert rehearsal.note_end(1, 0, 103) == [Start(2, 0)]
    assert rehearsal.deadline is None


def test_changes_while_the_worker_still_ends_start_one_worker_only(rehearsal: Rehearsal):
    rehearsal.restart(101)
    assert rehearsal.restart(102) == []
    assert rehearsal.deadline == 106
    assert rehearsal.note_end(1, -15, 103) == [Start(2, 0)]


def test_a_worker_that_does_not_end_is_killed(rehearsal: Rehearsal):
    rehearsal.restart(101)
    assert rehearsal.tick(105.9) == []
    late = rehearsal.tick(106)
    assert (acts(late), words(late)) == ([Kill(1)], ["has not ended within 5 s: it is killed"])
    assert rehearsal.tick(200) == []
    assert rehearsal.note_end(1, -9, 201) == [Start(2, 0)]


def test_a_worker_that_fails_is_not_followed_before_the_next_change(rehearsal: Rehearsal):
    assert rehearsal.note_end(1, 1, 101) == [Tell("ended with status 1: waiting for a change", 1, fault=True)]
    assert rehearsal.scene is Scene.WAITING
    assert rehearsal.deadline is None
    assert rehearsal.tick(1000) == []
    assert rehearsal.restart(1001) == [Start(2, 0)]


def test_it_takes_as_long_as_it_takes_to_be_ready(rehearsal: Rehearsal):
    assert rehearsal.deadline is None
    assert rehearsal.tick(10_000) == []


def test_a_stop_ends_the_worker_and_then_all(rehearsal: Rehearsal):
    assert rehearsal.stop(101) == [STOPPING, Terminate(1)]
    assert rehearsal.restart(102) == rehearsal.note_ready(1, 102) == []
    assert rehearsal.note_end(1, 1, 103) == [Exit(0)]
    assert rehearsal.scene is Scene.OVER
    assert rehearsal.stop(104) == rehearsal.restart(104) == rehearsal.tick(104) == []
    assert rehearsal.deadline is None


def test_a_stop_before_the_beginning_is_over_at_once():
    rehearsal = Rehearsal()
    assert rehearsal.stop(100) == [STOPPING, Exit(0)]
    assert rehearsal.tick(100) == []
    assert rehearsal.deadline is None


def test_with_no_patience_at_all_a_worker_is_killed_right_after_it_was_asked():
    rehearsal = Rehearsal(graceful=0)
    rehearsal.tick(100)
    assert acts(rehearsal.restart(101)) == [Terminate(1)]
    assert acts(rehearsal.tick(101)) == [Kill(1)]


def test_a_stop_that_takes_too_long_kills_and_so_does_a_second_one(rehearsal: Rehearsal):
    rehearsal.stop(101)
    assert acts(rehearsal.tick(106)) == [Kill(1)]
    other = Rehearsal(graceful=5)
    other.tick(100)
    other.stop(101)
    assert other.stop(102) == [Kill(1)]
    assert other.deadline is None


def test_a_stop_while_the_worker_is_replaced_starts_no_other(rehearsal: Rehearsal):
    rehearsal.restart(101)
    assert rehearsal.stop(102) == [STOPPING]
    assert rehearsal.deadline == 106
    assert rehearsal.note_end(1, 0, 103) == [Exit(0)]


def test_a_stop_while_it_waits_is_over_at_once(rehearsal: Rehearsal):
    rehearsal.note_end(1, 1, 101)
    assert rehearsal.stop(102) == [STOPPING, Exit(0)]


def test_what_is_told_of_nobody_changes_nothing(rehearsal: Rehearsal):
    assert rehearsal.note_end(7, 0, 101) == rehearsal.note_ready(7, 101) == rehearsal.note_stopping(7, 101) == []
    assert rehearsal.scene is Scene.PLAYING


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_patience_that_cannot_be_is_refused(seconds: float):
    with pytest.raises(ConfigError, match="graceful"):
        Rehearsal(graceful=seconds)


def test_a_move_that_is_not_in_the_table_is_our_fault(rehearsal: Rehearsal):
    with pytest.raises(StateError, match="from PLAYING to OVER"):
        rehearsal._move(Scene.OVER)


class RehearsalMachine(RuleBasedStateMachine):
    """Changes, deaths, stops and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.rehearsal = Rehearsal(graceful=5)
        self.worker: int | None = None
        self.asked = self.killed = False
        self.started = self.stops = self.exits = 0
        self.obey(self.rehearsal.tick(self.now))

    def obey(self, orders: list[Order]) -> None:
        assert not orders or not self.exits
        for order in acts(orders):
            match order:
                case Start(number, 0):
                    assert self.worker is None, "two at a time"
                    assert self.stops == 0
                    assert number == self.started + 1
                    self.worker, self.started, self.asked, self.killed = number, number, False, False
                case Terminate(number):
                    assert (number, self.asked, self.killed) == (self.worker, False, False)
                    self.asked = True
                case Kill(number):
                    assert number == self.worker
                    self.killed = True
                case Exit(status):
                    assert (status, self.worker) == (0, None)
                    self.exits += 1

    @rule()
    def change(self) -> None:
        self.obey(self.rehearsal.restart(self.now))
        assert self.stops or self.asked or self.killed or self.worker is not None

    @precondition(lambda self: self.worker is not None)
    @rule(status=st.sampled_from([0, 1, -9]))
    def end(self, status: int) -> None:
        number, self.worker = self.worker, None
        self.obey(self.rehearsal.note_end(number, status, self.now))
        assert not self.asked or self.stops or self.worker is not None

    @precondition(lambda self: self.worker is not None)
    @rule()
    def become_ready(self) -> None:
        self.obey(self.rehearsal.note_ready(self.worker, self.now))

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.rehearsal.tick(self.now))

    @precondition(lambda self: self.started > 2)
    @rule()
    def stop(self) -> None:
        self.stops += 1
        self.obey(self.rehearsal.stop(self.now))

    @invariant()
    def who_was_asked_to_end_is_waited_for_only_so_long(self) -> None:
        asked = self.worker is not None and self.asked and not self.killed
        assert (self.rehearsal.deadline is not None) == asked
        assert not asked or self.now < self.rehearsal.deadline <= self.now + 5

    @invariant()
    def it_is_over_when_it_was_stopped_and_nobody_is_left(self) -> None:
        assert self.exits == (self.stops > 0 and self.worker is None)


RehearsalMachine.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
test_whatever_happens = RehearsalMachine.TestCase

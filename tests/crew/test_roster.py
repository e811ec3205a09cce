"""rawbot/crew/roster.py: each rule as a sentence, on a clock that the test moves.

test_roster_rolling.py has rolling restarts, test_roster_at_random.py all rules at once, in any order.
"""

import pytest
from staged_roster import READY, STOPPING, Stage, opened

from rawbot.crew.orders import Exit, Kill, Start, Terminate
from rawbot.crew.roster import Phase, Roster, State, _Slot, _Worker
from rawbot.errors import ConfigError, StateError

# The opening


def test_all_workers_start_at_once_and_ready_is_said_when_all_are():
    stage = Stage(3)
    assert stage.tick() == [Start(1, 0), Start(2, 1), Start(3, 2)]
    assert stage.ready(2, 1) == []
    assert stage.roster.phase is Phase.OPENING
    assert stage.ready(3) == [READY]
    assert stage.roster.phase is Phase.RUNNING
    assert stage.wait is None
    assert stage.words == ["is ready"] * 3


def test_a_worker_that_is_not_ready_in_time_is_killed_and_followed():
    stage = Stage(2)
    stage.tick()
    stage.ready(1)
    assert stage.wait == 10
    assert stage.tick(9.9) == []
    assert stage.tick(0.1) == [Kill(2)]
    assert stage.words[-1] == "was not ready within 10 s: it is killed"
    assert stage.ready(2) == []  # too late
    assert stage.wait is None
    assert stage.end(2, -9) == [Start(3, 1)]
    assert len(stage.words) == 2  # that it was killed was told


def test_when_every_worker_dies_at_its_first_start_the_roster_gives_up_with_the_first_ones_status():
    stage = Stage(3)
    stage.tick()
    assert stage.end(2, 3) == []
    assert stage.end(1, 4) == []
    assert stage.end(3, -9) == [Exit(3)]
    assert stage.words == [
        "ended with status 3, before it was ready",
        "ended with status 4, before it was ready",
        "ended by signal 9, before it was ready",
        "no worker could start: giving up",
    ]
    assert stage.roster.phase is Phase.OVER
    assert stage.wait is None


@pytest.mark.parametrize(("ended", "status"), [(3, 3), (2, 2), (0, 3), (-11, 139)])
def test_the_status_is_the_workers_own_unless_that_was_0(ended: int, status: int):
    stage = Stage(1)
    stage.tick()
    assert stage.end(1, ended) == [Exit(status)]


def test_a_first_worker_that_was_killed_for_being_late_counts_as_a_failed_start():
    stage = Stage(1)
    stage.tick()
    assert stage.tick(10) == [Kill(1)]
    assert stage.end(1, -9) == [Exit(3)]


def test_a_dead_worker_is_not_followed_before_another_one_was_ready():
    stage = Stage(2)
    stage.tick()
    assert stage.end(1, 1) == []
    assert stage.tick(5) == []
    assert stage.ready(2) == [Start(3, 0)]
    assert stage.ready(3) == [READY]


def test_a_restart_gives_failed_first_starts_another_chance():
    stage = Stage(2)
    stage.tick()
    stage.end(1, 1)
    assert stage.restart() == [Start(3, 0)]
    assert stage.end(2, 1) == []
    assert stage.ready(3) == [Start(4, 1)]


def test_a_failed_start_that_others_made_up_for_does_not_show_in_the_end():
    stage = Stage(2)
    stage.tick()
    stage.end(1, 3)
    stage.ready(2)
    stage.ready(3)
    stage.stop()
    assert [*stage.end(2), *stage.end(3)] == [Exit(0)]


# Deaths


def test_who_dies_is_followed_at_once_then_later_and_later():
    stage = opened(1)
    waits = []
    for number in range(1, 10):
        orders = stage.end(number, 1)
        waits.append(0.0 if orders else stage.wait)
        orders = orders or stage.tick(stage.wait)
        assert orders == [Start(number + 1, 0)]
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert stage.words[:2] == ["ended with status 1", "ended with status 1, before it was ready"]


def test_who_was_ready_long_enough_did_not_die_young():
    stage = opened(1)
    stage.end(1, 1)
    stage.ready(2)
    assert stage.tick(60) == []
    assert stage.end(2, 1) == [Start(3, 0)]
    stage.ready(3)
    assert stage.tick(59) == []
    assert stage.end(3, 1) == [Start(4, 0)]
    assert stage.end(4, 1) == []
    assert stage.wait == 1


def test_each_place_has_its_own_delay():
    stage = opened(2)
    stage.end(1, 1)
    stage.end(3, 1)
    assert stage.wait == 1
    assert stage.end(2, -11) == [Start(4, 1)]
    assert stage.tick(1) == [Start(5, 0)]


def test_who_ends_by_its_own_will_is_followed_while_it_still_finishes():
    stage = opened(2)
    assert stage.stopping(1) == [Start(3, 0)]
    assert stage.words == ["is about to end by itself"]
    assert stage.stopping(1) == []
    assert stage.end(1) == []
    assert stage.ready(3) == []
    assert len(stage.words) == 2


def test_who_says_that_it_ends_and_does_not_is_killed():
    stage = opened(1)
    stage.stopping(1)
    stage.ready(2)
    assert stage.wait == 20
    assert stage.tick(20) == [Kill(1)]
    assert stage.end(1, -9) == []


def test_what_is_told_of_nobody_changes_nothing():
    stage = opened(1)
    assert stage.ready(1, 7) == stage.stopping(7) == stage.end(7) == []
    stage.end(1)
    assert stage.stopping(2) == []  # which has not said that it is ready
    assert stage.words == ["ended with status 0"]


# The end


def test_a_stop_asks_all_to_end_and_is_over_when_they_have():
    stage = opened(2)
    assert stage.stop() == [STOPPING, Terminate(1), Terminate(2)]
    assert stage.stopping(1) == stage.restart() == stage.end(1) == []
    assert stage.end(2, -15) == [Exit(0)]
    assert stage.stop() == stage.restart() == stage.tick(99) == []
    assert stage.words == []


def test_a_stop_reaches_those_who_start_and_those_who_follow():
    stage = opened(2)
    stage.end(1, -9)
    stage.ready(3)
    stage.restart()
    assert stage.stop() == [STOPPING, Terminate(3), Terminate(4), Terminate(2)]
    assert stage.ready(4) == []
    assert [*stage.end(4, -15), *stage.end(3), *stage.end(2)] == [Exit(0)]


def test_nobody_is_asked_to_end_twice():
    stage = opened(2)
    stage.restart()
    stage.ready(3)
    stage.tick(5)
    assert stage.stop() == [STOPPING, Terminate(3), Terminate(2)]
    assert stage.wait == 15  # for the one that was asked before


def test_who_was_killed_while_it_started_is_waited_for():
    stage = opened(2)
    stage.end(1, 1)
    assert stage.tick(10) == [Kill(3)]
    assert stage.stop() == [STOPPING, Terminate(2)]
    assert stage.end(2) == []
    assert stage.end(3, -9) == [Exit(0)]


def test_a_place_that_waits_is_not_filled_any_more():
    stage = opened(2)
    stage.end(1, 1)
    stage.end(3, 1)
    assert stage.wait == 1
    stage.stop()
    assert stage.wait == 20
    assert stage.tick(19) == []
    assert stage.end(2) == [Exit(0)]


def test_who_does_not_end_in_time_is_killed_and_that_is_no_clean_end():
    stage = opened(2)
    stage.stop()
    assert stage.end(1) == []
    assert stage.tick(20) == [Kill(2)]
    assert stage.end(2, -9) == [Exit(1)]


def test_a_second_stop_kills_whoever_is_left_once():
    stage = opened(3)
    stage.stop()
    stage.end(2)
    assert stage.stop() == [Kill(1), Kill(3)]
    assert stage.stop() == []
    assert [*stage.end(1, -9), *stage.end(3, -9)] == [Exit(1)]


def test_a_stop_before_the_beginning_is_over_at_once():
    stage = Stage(2)
    assert stage.stop() == [STOPPING, Exit(0)]
    assert stage.tick() == []


def test_a_stop_of_a_roster_whose_first_starts_fail_is_no_failure():
    stage = Stage(2)
    stage.tick()
    stage.end(1, 3)
    stage.stop()
    assert stage.end(2, 3) == [Exit(0)]


# What cannot be


@pytest.mark.parametrize("workers", [0, -1])
def test_a_roster_without_workers_is_refused(workers: int):
    with pytest.raises(ConfigError, match="at least one worker"):
        Roster(workers)


def test_a_move_that_is_not_in_the_table_is_our_fault():
    stage = opened(1)
    with pytest.raises(StateError, match="from RUNNING to OPENING"):
        stage.roster._move(Phase.OPENING)
    worker = _Worker(1, _Slot(0, 0.0), 0, 0.0)
    worker.move(State.KILLED)
    with pytest.raises(StateError, match="from KILLED to READY"):
        worker.move(State.READY)

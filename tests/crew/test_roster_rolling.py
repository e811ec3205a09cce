"""rawbot/crew/roster.py: rolling restarts, and what may come between."""

import pytest
from staged_roster import READY, RELOADING, STOPPING, Stage, opened

from rawbot.crew.orders import Kill, Start, Terminate
from rawbot.crew.roster import Phase


def test_a_rolling_restart_replaces_one_after_the_other_and_the_old_one_stays_till_the_new_one_is_ready():
    stage = opened(2)
    assert stage.restart() == [RELOADING, Start(3, 0)]
    assert stage.roster.phase is Phase.ROLLING
    assert stage.ready(3) == [Terminate(1)]
    assert stage.stopping(1) == []  # it says what it was told
    assert stage.end(1) == [Start(4, 1)]
    assert stage.ready(4) == [Terminate(2)]
    assert stage.end(2) == [READY]
    assert stage.roster.phase is Phase.RUNNING
    assert stage.words == [
        "replacing all workers, one after the other",
        "is ready",
        "is ready",
        "all workers are replaced",
    ]


@pytest.mark.parametrize("late", [False, True])
def test_when_the_new_one_does_not_come_up_the_old_ones_stay(late: bool):  # noqa: FBT001 - of pytest's
    stage = opened(2)
    stage.restart()
    if late:
        assert stage.tick(10) == [Kill(3)]
    assert stage.end(3, -9 if late else 1) == [READY]
    assert stage.roster.phase is Phase.RUNNING
    assert stage.words[-1] == "what is new does not start: the workers that are left stay"
    assert stage.tick(1000) == []
    assert stage.restart() == [RELOADING, Start(4, 0)]  # the next try


def test_after_a_restart_that_failed_who_dies_is_followed_and_who_is_there_is_stopped():
    stage = opened(2)
    stage.restart()
    stage.end(3, 1)
    assert stage.end(1, -9) == [Start(4, 0)]
    assert stage.stop() == [STOPPING, Terminate(4), Terminate(2)]


def test_when_a_later_one_does_not_come_up_the_rest_stays_mixed():
    stage = opened(2)
    stage.restart()
    stage.ready(3)
    assert stage.end(1) == [Start(4, 1)]
    assert stage.end(4, 3) == [READY]
    assert stage.tick(1000) == []


def test_a_restart_during_a_restart_replaces_also_those_who_have_just_come():
    stage = opened(2)
    stage.restart()
    assert stage.restart() == []
    assert stage.ready(3) == [Terminate(1)]
    assert stage.end(1) == [Start(4, 0)]
    assert stage.ready(4) == [Terminate(3)]
    assert stage.end(3) == [Start(5, 1)]
    assert stage.ready(5) == [Terminate(2)]
    assert stage.end(2) == [READY]


def test_a_failure_of_what_is_no_longer_the_newest_does_not_end_a_restart():
    stage = opened(1)
    stage.restart()
    stage.restart()
    assert stage.end(2, 1) == [Start(3, 0)]
    assert stage.ready(3) == [Terminate(1)]


def test_a_restart_while_the_first_are_still_starting_waits_till_they_are_ready():
    stage = Stage(2)
    stage.tick()
    assert stage.restart() == []
    assert stage.ready(1) == []
    assert stage.ready(2) == [READY, RELOADING, Start(3, 0)]


def test_a_restart_fills_a_place_that_waits_and_counts_anew():
    stage = opened(1)
    stage.end(1, 1)
    stage.end(2, 1)
    stage.end(3, 1) if stage.tick(1) else None
    assert stage.wait == 2
    assert stage.restart() == [Start(4, 0)]
    assert stage.end(4, 1) == [Start(5, 0)]
    assert stage.ready(5) == []  # it is as new as can be
    assert stage.roster.phase is Phase.RUNNING


def test_when_the_old_one_dies_meanwhile_its_successor_takes_the_place():
    stage = opened(2)
    stage.restart()
    assert stage.end(1, -9) == []
    assert stage.ready(3) == [Start(4, 1)]


def test_when_the_old_one_dies_and_its_successor_too_the_place_is_filled_again_and_the_restart_is_over():
    stage = opened(2)
    stage.restart()
    stage.end(1, -9)
    assert stage.end(3, 1) == [READY]
    assert stage.roster.phase is Phase.RUNNING
    assert stage.tick(stage.wait) == [Start(4, 0)]
    assert stage.ready(4) == []


def test_an_old_one_that_does_not_leave_is_killed_and_the_restart_goes_on():
    stage = opened(2)
    stage.restart()
    stage.ready(3)
    assert stage.tick(20) == [Kill(1)]
    assert stage.words[-1] == "has not ended within 20 s: it is killed"
    assert stage.end(1, -9) == [Start(4, 1)]

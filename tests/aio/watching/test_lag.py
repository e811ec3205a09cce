"""rawbot/aio/watching/lag.py on a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from rawbot.aio.watching.lag import WINDOW, Lag


def test_nothing_is_late_before_anything_was_due():
    assert (Lag().last, Lag().worst) == (0.0, 0.0)


def test_the_last_and_the_worst_are_known():
    lag = Lag()
    lag.note(100.0, 100.5)
    lag.note(101.0, 101.25)
    assert (lag.last, lag.worst) == (0.25, 0.5)


def test_a_call_that_comes_early_by_the_clocks_grain_is_not_late():
    lag = Lag()
    lag.note(100.0, 99.999)
    assert (lag.last, lag.worst) == (0.0, 0.0)


def test_looking_does_not_make_it_forget():
    lag = Lag()
    lag.note(100.0, 100.5)
    assert [lag.worst, lag.worst] == [0.5, 0.5]


def test_the_worst_is_remembered_for_one_window_and_forgotten_after_two():
    lag = Lag()
    lag.note(10 * WINDOW, 10 * WINDOW + 3.0)
    for later in (1.0, WINDOW, 2 * WINDOW - 4.0):
        lag.note(10 * WINDOW + later, 10 * WINDOW + later)
        assert lag.worst == 3.0
    lag.note(12 * WINDOW, 12 * WINDOW)
    assert lag.worst == 0.0


def test_a_loop_that_slept_for_hours_forgets_what_was_before():
    lag = Lag()
    lag.note(0.0, 9.0)
    lag.note(99_999.0, 99_999.5)
    assert lag.worst == 0.5


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), min_size=1, max_size=30))
def test_the_worst_is_that_of_the_last_window_at_least_and_of_two_at_most(steps: list[tuple[float, float]]):
    lag, now, notes = Lag(), 0.0, []
    for step, late in steps:
        now += step + late
        notes.append((now, late))
        lag.note(now - late, now)
    least = max(late for when, late in notes if when > now - WINDOW)
    most = max(late for when, late in notes if when > now - 2 * WINDOW)
    assert least - 1e-9 <= lag.worst <= most + 1e-9

"""rawbot/aio/watching/quiet.py: ten scans are told, a million are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.aio.watching.quiet import Quiet
from rawbot.errors import ConfigError


def test_the_first_of_an_interval_are_told_and_the_rest_is_counted():
    quiet = Quiet(burst=2, interval=60)
    assert [quiet.admit(now) for now in (0, 1, 2, 59.9)] == [True, True, False, False]
    assert quiet.summary(59.9) == 0, "the interval is not over"
    assert quiet.summary(60) == 2
    assert quiet.summary(60) == 0, "it was told"
    assert quiet.admit(60)


def test_what_was_held_back_is_not_forgotten_when_the_next_interval_begins():
    quiet = Quiet(burst=1, interval=60)
    assert [quiet.admit(now) for now in (0, 1, 60, 61)] == [True, False, True, False]
    assert quiet.summary(119) == 0
    assert quiet.summary(120) == 2


def test_a_quiet_that_is_never_broken_says_nothing():
    assert Quiet().summary(1e9) == 0


@given(st.lists(st.floats(0, 200), max_size=60).map(sorted), st.integers(1, 5))
def test_everything_is_told_or_counted_and_no_interval_tells_more_than_it_may(times: list[float], burst: int):
    quiet = Quiet(burst=burst, interval=10)
    told = [now for now in times if quiet.admit(now)]
    assert len(told) + quiet.summary(1e9) == len(times)
    assert all(sum(start <= now < start + 10 for now in told) <= 2 * burst for start in told)


@pytest.mark.parametrize("options", [{"burst": 0}, {"interval": 0}, {"interval": float("nan")}])
def test_limits_that_let_nothing_through_are_refused(options: dict[str, float]):
    with pytest.raises(ConfigError):
        Quiet(**options)

"""rawbot/wecom/clock.py: time that only goes on, whatever is done to the clock."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from wecom_callbacks import T0

from rawbot.wecom.clock import JITTER, SteadyClock


def readings(*times: float) -> list[float]:
    clock = SteadyClock()
    return [clock.read(T0 + seconds) - T0 for seconds in times]


def test_a_clock_that_goes_on_is_read_as_it_is():
    assert readings(0, 0, 0.5, 1, 330, 100_000) == [0, 0, 0.5, 1, 330, 100_000]


def test_a_clock_that_is_set_back_goes_on_from_where_it_was():
    assert readings(100, -3500, -3499, -3170) == [100, 100, 101, 430]
    assert readings(100, 50, 60, 10, 15) == [100, 100, 110, 110, 115]


def test_a_clock_that_is_put_right_again_has_moved_forward():
    assert readings(100, -3500, 100) == [100, 100, 3700]


def test_readings_out_of_order_are_no_step_and_do_not_add_up():
    assert readings(*[10, 10 - JITTER] * 1000, 11) == [10] * 2000 + [11]


@given(st.lists(st.integers(0, 10**10)))
def test_it_never_goes_back_and_is_never_behind(times: list[int]):
    clock = SteadyClock()
    read = [clock.read(now) for now in times]
    assert all(earlier <= later for earlier, later in pairwise(read))
    assert all(steady >= now for steady, now in zip(read, times, strict=True))

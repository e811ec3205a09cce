"""rawbot/crew/orders.py: how long is waited, and how an end is told."""

import math

import pytest

from rawbot.crew.orders import Patience, describe
from rawbot.errors import ConfigError


def test_the_delay_is_none_at_first_and_doubles_up_to_the_longest():
    patience = Patience()
    assert [patience.delay(deaths) for deaths in range(10)] == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_delay_stays_the_longest_after_any_number_of_deaths():
    assert Patience().delay(10**6) == 30.0
    assert Patience(first_delay=1e-9, longest_delay=5).delay(10**6) == pytest.approx(1e-9 * 2**32)


@pytest.mark.parametrize("name", ["start", "graceful", "steady", "first_delay", "longest_delay"])
@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_patience_that_cannot_be_is_refused_by_name(name: str, seconds: float):
    with pytest.raises(ConfigError, match=rf"patience\.{name} "):
        Patience(**{name: seconds})


def test_no_patience_at_all_is_allowed():
    assert Patience(start=0, graceful=0, steady=0, first_delay=0, longest_delay=0).delay(9) == 0


def test_an_end_is_told_by_status_or_by_signal():
    assert describe(3) == "ended with status 3"
    assert describe(0) == "ended with status 0"
    assert describe(-9) == "ended by signal 9"

"""rawbot/expiring.py against a model that forgets by looking at everything."""

import sys
import time
from collections import OrderedDict
from itertools import takewhile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError
from rawbot.expiring import ExpiringDict

TTL = 10.0
MAX_ITEMS = 4
KEYS = st.integers(0, 6)


class ForgettingMachine(RuleBasedStateMachine):
    """Any calls in any order while the clock goes forward, and is set back now and then."""

    max_items = MAX_ITEMS

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.dropped: list[tuple[int, int]] = []
        self.expiring: ExpiringDict[int, int] = ExpiringDict(
            TTL, self.max_items, on_drop=lambda key, value: self.dropped.append((key, value))
        )
        self.held: list[tuple[int, int, float]] = []  # key, value, end of life; in the order of setting
        self.should_have_dropped: list[tuple[int, int]] = []
        self.values = iter(range(1_000_000))

    def forget(self, over: list[tuple[int, int, float]]) -> None:
        self.held = [entry for entry in self.held if entry not in over]
        self.should_have_dropped += [(key, value) for key, value, _ in over]

    def over_now(self) -> list[tuple[int, int, float]]:
        """Return what is to be forgotten: an entry behind one that lives on stays, be it over."""
        return list(takewhile(lambda entry: entry[2] <= self.now, self.held))

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, TTL, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([1.0, TTL, 100.0, 900.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule(key=KEYS)
    def set(self, key: int) -> None:
        value = next(self.values)
        self.expiring.set(key, value, self.now)
        self.forget(self.over_now())
        self.held = [entry for entry in self.held if entry[0] != key] + [(key, value, self.now + TTL)]
        self.forget(self.held[: max(0, len(self.held) - self.max_items)])

    @rule(keys=st.lists(KEYS, min_size=2, unique=True))
    def set_several(self, keys: list[int]) -> None:
        for key in keys:
            self.set(key)

    @rule(key=KEYS)
    def pop(self, key: int) -> None:
        expected = next((value for held, value, _ in self.held if held == key), None)
        self.held = [entry for entry in self.held if entry[0] != key]
        assert self.expiring.pop(key) == expected

    @rule()
    def expire(self) -> None:
        self.expiring.expire(self.now)
        self.forget(self.over_now())

    @rule()
    def drop_oldest(self) -> None:
        self.expiring.drop_oldest()
        self.forget(self.held[:1])

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert len(self.expiring) == len(self.held) <= self.max_items
        alive = {key: value for key, value, end in self.held if end > self.now}
        assert {key: self.expiring.get(key, self.now) for key in range(7)} == {key: alive.get(key) for key in range(7)}
        assert self.expiring.keys(self.now) == list(alive)  # in the order of setting

    @invariant()
    def it_told_of_every_entry_it_forgot_once_and_in_order(self) -> None:
        assert self.dropped == self.should_have_dropped


class CrowdedMachine(ForgettingMachine):
    """The same with so little room that what stands in front is crowded out again and again."""

    max_items = 2


SETTINGS = settings(deadline=None, max_examples=100, stateful_step_count=40)
ForgettingMachine.TestCase.settings = CrowdedMachine.TestCase.settings = SETTINGS
test_it_forgets_as_the_model_does = ForgettingMachine.TestCase
test_it_forgets_as_the_model_does_with_little_room = CrowdedMachine.TestCase


@pytest.mark.parametrize(("ttl", "max_items"), [(0, 1), (-1, 1), (1, 0)])
def test_what_could_hold_nothing_is_refused(ttl: float, max_items: int):
    with pytest.raises(ConfigError):
        ExpiringDict(ttl, max_items)


def test_an_entry_is_over_at_the_very_end_of_its_time():
    expiring: ExpiringDict[str, int] = ExpiringDict(10, 2)
    expiring.set("a", 1, 100)
    assert expiring.get("a", 109.999) == 1
    assert expiring.get("a", 110) is None


def test_setting_again_starts_a_new_life_and_drops_nothing():
    dropped: list[str] = []
    expiring: ExpiringDict[str, int] = ExpiringDict(10, 2, on_drop=lambda key, _: dropped.append(key))
    expiring.set("a", 1, 0)
    expiring.set("b", 2, 1)
    expiring.set("a", 3, 5)
    expiring.set("c", 4, 6)
    assert dropped == ["b"]  # "a" is the younger one now
    assert expiring.get("a", 14) == 3


def test_without_on_drop_entries_vanish_silently():
    expiring: ExpiringDict[str, int] = ExpiringDict(10, 1)
    expiring.set("a", 1, 0)
    expiring.set("b", 2, 0)
    expiring.expire(10)
    assert len(expiring) == 0


def test_a_clock_that_steps_back_only_makes_entries_live_longer():
    expiring: ExpiringDict[str, int] = ExpiringDict(10, 9)
    expiring.set("late", 1, 1000)
    expiring.set("early", 2, 500)
    expiring.expire(520)
    assert expiring.get("late", 520) == 1
    assert len(expiring) == 2  # "early" is over, but not at the front
    expiring.expire(1010)
    assert len(expiring) == 0


def test_what_is_over_is_forgotten_though_one_of_a_later_time_stood_in_front_of_it():
    dropped: list[str] = []
    expiring: ExpiringDict[str, int] = ExpiringDict(10, 3, on_drop=lambda key, _: dropped.append(key))
    for key, now in (("a", 1000), ("1", 1), ("2", 2), ("3", 3)):  # the clock is set back after the first
        expiring.set(key, 0, now)
    assert dropped == ["a"]
    expiring.set("x", 0, 900)
    assert dropped == ["a", "1", "2", "3"]
    assert len(expiring) == 1


class Counting(ExpiringDict[str, int]):
    """Counts how often it looks for what is over."""

    looks = 0

    def expire(self, now: float) -> None:
        self.looks += 1
        super().expire(now)


def test_setting_does_not_look_for_what_is_over_before_anything_can_be():
    expiring = Counting(10, 100)
    expiring.set("a", 1, 0)
    expiring.set("b", 2, 5)
    expiring.set("c", 3, 9)
    assert expiring.looks == 0
    expiring.expire(10)  # "a" goes; "b" is next, at 15
    expiring.set("d", 4, 11)
    expiring.set("e", 5, 14)
    assert expiring.looks == 1
    expiring.set("f", 6, 15)
    assert (expiring.looks, len(expiring)) == (2, 4)
    expiring.expire(100)
    expiring.set("g", 7, 101)
    expiring.set("h", 8, 110)
    assert (expiring.looks, len(expiring)) == (3, 2)


def test_its_memory_is_returned_when_all_is_over():
    expiring: ExpiringDict[int, int] = ExpiringDict(10, 10_000)
    for key in range(10_000):
        expiring.set(key, key, 0)
    assert sys.getsizeof(expiring._entries) > 100_000
    expiring.expire(10)
    assert sys.getsizeof(expiring._entries) <= 2 * sys.getsizeof(OrderedDict())


def test_forgetting_costs_the_same_however_much_is_held():
    """A scan per call would make this 100,000 times 100,000 steps; so would an OrderedDict's absence."""
    expiring: ExpiringDict[int, int] = ExpiringDict(10, 100_000)
    start = time.perf_counter()
    for i in range(200_000):
        expiring.set(i, i, i / 10_000)
    expiring.expire(1e9)
    assert len(expiring) == 0
    assert time.perf_counter() - start < 10

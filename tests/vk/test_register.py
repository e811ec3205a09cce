"""rawbot/vk/register.py: running, done and failed events, for as long as VK may bring them again."""

import sys
from math import inf, nan

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError, StateError
from rawbot.vk.register import RETRIED_FOR, WINDOW, Register, Standing

KEY = (1, "a")
NOW = 1000.0


def ended(*, well: bool, now: float = NOW, **options: float) -> Register:
    register = Register(**options)
    register.begin(KEY, now)
    register.finish(KEY, now, well=well)
    return register


def test_an_event_is_new_runs_and_is_done():
    register = Register()
    assert register.standing(KEY, NOW) is Standing.NEW
    register.begin(KEY, NOW)
    assert register.standing(KEY, NOW) is Standing.RUNNING
    assert len(register) == 1
    register.finish(KEY, NOW, well=True)
    assert register.standing(KEY, NOW) is Standing.DONE
    assert len(register) == 0


def test_one_that_has_failed_may_run_again_and_be_done_then():
    register = ended(well=False)
    assert register.standing(KEY, NOW) is Standing.FAILED
    register.begin(KEY, NOW + 10)
    assert register.standing(KEY, NOW + 10) is Standing.RUNNING
    register.finish(KEY, NOW + 11, well=True)
    assert register.standing(KEY, NOW + 12) is Standing.DONE


def test_one_that_runs_or_is_done_does_not_begin_again():
    register = Register()
    register.begin(KEY, NOW)
    with pytest.raises(StateError):
        register.begin(KEY, NOW)
    register.finish(KEY, NOW, well=True)
    with pytest.raises(StateError):
        register.begin(KEY, NOW)


def test_what_does_not_run_cannot_end():
    with pytest.raises(StateError):
        Register().finish(KEY, NOW, well=True)
    with pytest.raises(StateError):
        ended(well=True).finish(KEY, NOW, well=True)


def test_an_ended_event_is_remembered_for_longer_than_vk_tries():
    register = ended(well=True)
    assert WINDOW > RETRIED_FOR == 10 + 180 + 600 + 1800 + 3600
    assert register.standing(KEY, NOW + RETRIED_FOR) is Standing.DONE
    assert register.standing(KEY, NOW + WINDOW) is Standing.NEW


def test_a_running_event_is_never_forgotten():
    register = Register(max_remembered=1)
    register.begin(KEY, NOW)
    register.expire(NOW + 10 * WINDOW)
    assert register.standing(KEY, NOW + 10 * WINDOW) is Standing.RUNNING


def test_the_memory_of_ended_events_is_bounded_and_the_oldest_are_forgotten_first():
    register = Register(max_remembered=2)
    for number in range(3):
        register.begin((1, number), NOW)
        register.finish((1, number), NOW, well=True)
    assert [register.standing((1, number), NOW).name for number in range(3)] == ["NEW", "DONE", "DONE"]


def test_forgetting_is_done_as_time_passes_too():
    register = ended(well=True)
    register.expire(NOW + WINDOW)
    assert len(register._ended) == 0


def test_when_an_event_came_first_outlives_its_failures():
    register = Register()
    assert register.begin(KEY, NOW) == NOW
    register.finish(KEY, NOW + 5, well=False)
    assert register.begin(KEY, NOW + 30) == NOW
    assert register.begin((1, "b"), NOW, met=NOW - 50) == NOW - 50
    assert register.begin((1, "c"), NOW, met=NOW + 50) == NOW


def test_one_that_was_put_off_is_new_but_its_time_has_begun():
    register = Register()
    register.put_off(KEY, NOW)
    register.put_off(KEY, NOW + 5)
    assert register.standing(KEY, NOW + 5) is Standing.FAILED
    assert register.begin(KEY, NOW + 10, met=NOW + 1) == NOW
    register.put_off(KEY, NOW + 11)
    assert register.standing(KEY, NOW + 11) is Standing.RUNNING


def test_what_an_earlier_process_tells_counts_unless_the_event_runs_here():
    register = Register()
    register.recall((1, "done"), NOW, well=True)
    register.recall((1, "failed"), NOW, well=False)
    register.begin(KEY, NOW)
    register.recall(KEY, NOW, well=True)
    assert register.standing((1, "done"), NOW) is Standing.DONE
    assert register.standing((1, "failed"), NOW) is Standing.FAILED
    assert register.standing(KEY, NOW) is Standing.RUNNING


def test_a_crowd_that_is_gone_holds_no_room():
    register = Register(max_remembered=1)
    for number in range(10_000):
        register.begin((1, number), NOW)
    for number in range(10_000):
        register.finish((1, number), NOW, well=True)
    assert sys.getsizeof(register._running) < 1000


def test_the_age_is_that_of_the_oldest_that_runs():
    register = Register()
    assert register.age(NOW) == 0
    register.begin(KEY, NOW)
    register.begin((1, "b"), NOW + 3)
    assert register.age(NOW + 4) == 4
    assert register.age(NOW - 9) == 0


@pytest.mark.parametrize("window", [0, -1, RETRIED_FOR, nan])
def test_a_window_within_which_an_event_could_come_again_is_refused(window: float):
    with pytest.raises(ConfigError, match="6190"):
        Register(window=window)


def test_a_window_may_be_as_long_as_the_operator_likes():
    assert ended(well=True, window=inf).standing(KEY, NOW + 1e9) is Standing.DONE
    with pytest.raises(ConfigError):
        Register(max_remembered=0)


KEYS = st.tuples(st.integers(1, 2), st.sampled_from("abc"))


class RegisterMachine(RuleBasedStateMachine):
    """A register beside a plain list of what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.register = Register()
        self.now = NOW
        self.running: dict[tuple[int, str], float] = {}
        self.ended: dict[tuple[int, str], tuple[bool, float]] = {}

    def expected(self, key: tuple[int, str]) -> Standing:
        if key in self.running:
            return Standing.RUNNING
        well, at = self.ended.get(key, (None, -inf))
        if well is None or self.now >= at + WINDOW:
            return Standing.NEW
        return Standing.DONE if well else Standing.FAILED

    @rule(key=KEYS)
    def come(self, key: tuple[int, str]) -> None:
        standing = self.register.standing(key, self.now)
        assert standing is self.expected(key)
        if standing in (Standing.NEW, Standing.FAILED):
            self.register.begin(key, self.now)
            self.running[key] = self.now

    @rule(data=st.data(), well=st.booleans())
    def end(self, data: st.DataObject, well: bool) -> None:  # noqa: FBT001 - drawn
        if self.running:
            key = data.draw(st.sampled_from(sorted(self.running)))
            self.register.finish(key, self.now, well=well)
            del self.running[key]
            self.ended[key] = (well, self.now)

    @rule(seconds=st.sampled_from([0.0, 1.0, 600.0, RETRIED_FOR, WINDOW]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.register.expire(self.now)

    @invariant()
    def all_stand_as_they_should(self) -> None:
        assert len(self.register) == len(self.running)
        for group in (1, 2):
            for name in "abc":
                assert self.register.standing((group, name), self.now) is self.expected((group, name))


TestRegisterMachine = RegisterMachine.TestCase

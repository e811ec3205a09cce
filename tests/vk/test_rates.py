"""rawbot/vk/rates.py against a model that remembers every token."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError
from rawbot.vk.rates import COMMUNITY_RATE, PERIOD, USER_RATE, Bucket

RATE = 3
SECONDS = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 4.0])


class TakingMachine(RuleBasedStateMachine):
    """Tokens taken at any times, pauses, and a clock that is set. All times are exact in binary."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket(RATE)
        self.now = 1000.0
        self.taken: list[float] = []
        self.paused_until = 0.0

    def free(self, now: float) -> bool:
        recent = [at for at in self.taken if at + PERIOD > now]
        return len(recent) < RATE and now >= self.paused_until

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(times=st.integers(1, RATE + 1))
    def take(self, times: int) -> None:
        for _ in range(times):
            expected = self.free(self.now)
            assert self.bucket.take(self.now) is expected
            self.taken += [self.now] * expected

    @rule(seconds=SECONDS)
    def pause(self, seconds: float) -> None:
        self.bucket.pause(self.now + seconds)
        self.paused_until = max(self.paused_until, self.now + seconds)

    @rule(seconds=st.sampled_from([-512.0, 512.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.bucket.shift(seconds)
        self.now += seconds
        self.taken = [at + seconds for at in self.taken]
        self.paused_until += seconds

    @rule()
    def it_is_ready_when_it_says_so(self) -> None:
        if self.bucket.ready_at > self.now:
            assert not self.free(self.bucket.ready_at - 2**-10)
            self.now = self.bucket.ready_at
        assert self.free(self.now)

    @invariant()
    def no_period_sees_more_than_the_rate(self) -> None:
        for at in self.taken:
            assert sum(at <= other < at + PERIOD for other in self.taken) <= RATE


TakingMachine.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
test_it_gives_what_the_model_gives = TakingMachine.TestCase


@pytest.mark.parametrize("rate", [COMMUNITY_RATE, USER_RATE, 1])
def test_a_second_s_worth_may_go_at_once_and_the_next_one_a_second_later(rate: int):
    bucket = Bucket(rate)
    assert [bucket.take(50.0) for _ in range(rate + 1)] == [True] * rate + [False]
    assert bucket.ready_at == 51.0
    assert not bucket.take(50.999)
    assert bucket.take(51.0)


@pytest.mark.parametrize(
    ("rate", "period"),
    [(0, 1), (-1, 1), (2.5, 1), (True, 1), ("20", 1), (20, 0), (20, float("inf")), (20, float("nan"))],
)
def test_what_would_give_nothing_is_refused(rate: int, period: float):
    with pytest.raises(ConfigError):
        Bucket(rate, period=period)

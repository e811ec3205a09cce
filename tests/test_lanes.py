"""rawbot/lanes.py: order within a conversation under every policy, and nothing lost on the way."""

import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rawbot.errors import ConfigError
from rawbot.lanes import Lanes, Policy

KEYS = st.sampled_from("abc")
MAX_WAITING = 3


class LanesMachine(RuleBasedStateMachine):
    """Messages come, handlers end in any order, a shutdown may fall anywhere; each job is one number."""

    policy: Policy = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.lanes: Lanes[int] = Lanes(self.policy, max_waiting=MAX_WAITING)
        self.numbers = iter(range(1_000_000))
        self.received: dict[str, list[int]] = {key: [] for key in "abc"}
        self.started: dict[str, list[int]] = {key: [] for key in "abc"}
        self.finished: set[int] = set()
        self.not_started: set[int] = set()  # refused, superseded while waiting, or drained

    def running(self, key: str) -> list[int]:
        return [job for job in self.started[key] if job not in self.finished]

    def waiting(self, key: str) -> list[int]:
        gone = {*self.started[key], *self.not_started}
        return [job for job in self.received[key] if job not in gone]

    @rule(key=KEYS)
    def receive(self, key: str) -> None:
        job = next(self.numbers)
        running, waiting = self.running(key), self.waiting(key)
        start, cancel, refuse = self.lanes.receive(key, job)
        assert (start, cancel, refuse) == self.expected(job, running, waiting)
        self.received[key].append(job)
        self.started[key] += start
        self.not_started.update(refuse, set(cancel) & set(waiting))

    def expected(self, job: int, running: list[int], waiting: list[int]) -> tuple[list[int], list[int], list[int]]:
        if not running or self.policy == "parallel":
            return [job], [], []
        if self.policy == "cancel_previous":
            return [], running + waiting, []
        return ([], [], [job]) if len(waiting) == MAX_WAITING else ([], [], [])

    @precondition(lambda self: any(self.running(key) for key in "abc"))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([key for key in "abc" if self.running(key)]))
        job = data.draw(st.sampled_from(self.running(key)))
        waiting = self.waiting(key)
        following = self.lanes.finish(key, job)
        self.finished.add(job)
        assert following == (None if self.running(key) or not waiting else waiting[0])
        if following is not None:
            self.started[key].append(following)

    @rule()
    def drain(self) -> None:
        drained = self.lanes.drain()
        assert sorted(drained) == sorted(job for key in "abc" for job in self.waiting(key))
        self.not_started.update(drained)

    @invariant()
    def two_jobs_of_a_lane_run_at_once_only_in_parallel(self) -> None:
        assert self.policy == "parallel" or all(len(self.running(key)) <= 1 for key in "abc")

    @invariant()
    def jobs_start_in_the_order_in_which_they_came(self) -> None:
        assert all(jobs == sorted(jobs) for jobs in self.started.values())

    @invariant()
    def nothing_waits_behind_nothing(self) -> None:
        assert all(self.running(key) for key in "abc" if self.waiting(key))
        assert all(len(self.waiting(key)) <= MAX_WAITING for key in "abc")

    @invariant()
    def a_lane_exists_while_something_runs_in_it(self) -> None:
        assert len(self.lanes) == sum(1 for key in "abc" if self.running(key))
        assert self.lanes.waiting == sum(len(self.waiting(key)) for key in "abc")

    def teardown(self) -> None:
        """Let everything end: each job has run, or somebody was told that it will not."""
        for key in "abc":
            while running := self.running(key):
                following = self.lanes.finish(key, running[0])
                self.finished.add(running[0])
                self.started[key] += [] if following is None else [following]
        assert len(self.lanes) == 0
        everything = {job for jobs in self.received.values() for job in jobs}
        assert self.finished | self.not_started == everything
        assert not self.finished & self.not_started


class ParallelMachine(LanesMachine):
    policy: Policy = "parallel"


class CancelPreviousMachine(LanesMachine):
    policy: Policy = "cancel_previous"


SETTINGS = settings(deadline=None, max_examples=40, stateful_step_count=40)
test_queue_keeps_order_and_loses_nothing = LanesMachine.TestCase
test_parallel_starts_all_at_once = ParallelMachine.TestCase
test_cancel_previous_keeps_the_newest_only = CancelPreviousMachine.TestCase
for _case in (LanesMachine, ParallelMachine, CancelPreviousMachine):
    _case.TestCase.settings = SETTINGS


def test_lanes_do_not_wait_for_each_other():
    lanes: Lanes[str] = Lanes()
    assert lanes.receive("a", "1") == (["1"], [], [])
    assert lanes.receive("b", "2") == (["2"], [], [])
    assert lanes.receive("a", "3") == ([], [], [])
    assert lanes.finish("b", "2") is None
    assert lanes.finish("a", "1") == "3"


def test_a_cancelled_job_holds_its_lane_until_it_has_ended():
    lanes: Lanes[str] = Lanes("cancel_previous")
    lanes.receive("a", "1")
    assert lanes.receive("a", "2") == ([], ["1"], [])
    assert lanes.receive("a", "3") == ([], ["1", "2"], [])
    assert lanes.finish("a", "1") == "3"
    assert lanes.finish("a", "3") is None


def test_a_conversation_that_is_too_far_behind_is_refused():
    lanes: Lanes[str] = Lanes(max_waiting=1)
    lanes.receive("a", "1")
    lanes.receive("a", "2")
    assert lanes.receive("a", "3") == ([], [], ["3"])
    assert lanes.receive("b", "4") == (["4"], [], [])


def test_with_no_room_to_wait_the_second_message_is_refused():
    lanes: Lanes[str] = Lanes(max_waiting=0)
    assert lanes.receive("a", "1") == (["1"], [], [])
    assert lanes.receive("a", "2") == ([], [], ["2"])


@pytest.mark.parametrize("jobs", [["1"], ["1", "2"]])
def test_a_job_that_does_not_run_cannot_finish(jobs: list[str]):
    lanes: Lanes[str] = Lanes()
    for job in jobs:
        lanes.receive("a", job)
    for job in ("2", "3"):
        with pytest.raises(ValueError):  # noqa: PT011 - which words say so is no part of it
            lanes.finish("a", job)
    assert [lanes.finish("a", job) for job in jobs] == [*jobs[1:], None]
    assert len(lanes) == 0


def test_memory_is_returned_when_the_last_conversation_has_ended():
    lanes: Lanes[int] = Lanes()
    for number in range(2000):
        lanes.receive(str(number), number)
        lanes.receive(str(number), -number - 1)
    assert sys.getsizeof(lanes._lanes) > 50_000
    for number in range(2000):
        assert lanes.finish(str(number), number) == -number - 1
        lanes.finish(str(number), -number - 1)
    assert sys.getsizeof(lanes._lanes) <= sys.getsizeof({1: 1})


@pytest.mark.parametrize("arguments", [{"policy": "drop"}, {"max_waiting": -1}])
def test_a_setting_that_cannot_work_is_refused(arguments: dict):
    with pytest.raises(ConfigError):
        Lanes(**arguments)

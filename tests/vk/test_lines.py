"""rawbot/vk/lines.py: one job after the other within a dialog, none waiting for another dialog's."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from rawbot.vk.lines import Done, Lines

HERE, THERE = (1, 10), (1, 20)


class Work:
    """Jobs that the test ends."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.begun: list[object] = []
        self.ends: dict[object, Done] = {}

    def add(self, name: object, dialog: tuple[int, int] = HERE) -> None:
        def job(done: Done) -> None:
            self.begun.append(name)
            self.ends[name] = done

        self.lines.add(dialog, job)


def at_once(then: Callable[[], object]) -> Callable[[Done], None]:
    def job(done: Done) -> None:
        then()
        done()

    return job


def test_the_next_begins_when_the_one_before_is_over():
    work = Work()
    for name in "abc":
        work.add(name)
    assert work.begun == ["a"]
    work.ends["a"]()
    assert work.begun == ["a", "b"]
    work.ends["b"]()
    work.ends["c"]()
    assert work.begun == ["a", "b", "c"]
    assert len(work.lines) == 0


def test_dialogs_do_not_wait_for_each_other():
    work = Work()
    work.add("here")
    work.add("there", THERE)
    work.add("elsewhere", (2, 10))
    assert work.begun == ["here", "there", "elsewhere"]
    assert len(work.lines) == 3


def test_a_dialog_is_idle_when_a_job_would_begin_at_once():
    work = Work()
    assert work.lines.is_idle(HERE)
    work.add("a")
    assert not work.lines.is_idle(HERE)
    assert work.lines.is_idle(THERE)
    work.ends["a"]()
    assert work.lines.is_idle(HERE)


def test_jobs_that_are_over_at_once_do_not_nest():
    lines, done = Lines(), []
    first: list[Done] = []
    lines.add(HERE, first.append)
    for number in range(5000):
        lines.add(HERE, at_once(lambda number=number: done.append(number)))
    first[0]()
    assert done == list(range(5000))
    assert len(lines) == 0


def test_a_job_may_add_another_to_its_own_dialog():
    lines, done = Lines(), []
    lines.add(HERE, at_once(lambda: lines.add(HERE, at_once(lambda: done.append("second")))))
    assert done == ["second"]
    assert lines.is_idle(HERE)


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE]), st.booleans()), max_size=30))
def test_whatever_the_order_of_ends_each_dialog_keeps_its_own(jobs: list[tuple[tuple[int, int], bool]]):
    work = Work()
    for number, (dialog, ends_before) in enumerate(jobs):
        work.add((dialog, number), dialog)
        if ends_before and work.ends:
            work.ends.pop(next(iter(work.ends)))()
    while work.ends:
        work.ends.pop(next(reversed(work.ends)))()
    for dialog in (HERE, THERE):
        begun = [number for where, number in work.begun if where == dialog]
        assert begun == sorted(begun)
    assert len(work.begun) == len(jobs)
    assert len(work.lines) == 0

"""rawbot/onebot/fragments.py against a model that has a flag for each byte."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rawbot.onebot.fragments import Fragments
from rawbot.onebot.retcodes import BAD_PARAM, FILE_MISMATCH, TIRED, ActionError

SIZE = 12
MAX_RUNS = 4


class Marking(RuleBasedStateMachine):
    """Any parts in any order, some of them taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.fragments = Fragments(SIZE, max_runs=MAX_RUNS)
        self.marks = [False] * SIZE
        self.added: list[tuple[int, int]] = []

    def runs(self, marks: list[bool]) -> int:
        return sum(mark and not before for before, mark in zip([False, *marks], marks, strict=False))

    @rule(offset=st.integers(-1, SIZE + 1), size=st.integers(0, SIZE))
    def add(self, offset: int, size: int) -> None:
        marked = self.marks[max(offset, 0) : offset + size]
        after = [mark or offset <= at < offset + size for at, mark in enumerate(self.marks)]
        if offset < 0 or offset + size > SIZE:
            self.refused(BAD_PARAM, offset, size)
        elif any(marked) and not all(marked):
            self.refused(FILE_MISMATCH, offset, size)
        elif size and not any(marked) and self.runs(after) > MAX_RUNS:
            self.refused(TIRED, offset, size)
        else:
            new = bool(size) and not any(marked)
            assert self.fragments.add(offset, size) is new
            self.marks = after
            self.added += [(offset, size)] if new else []

    def refused(self, retcode: int, offset: int, size: int) -> None:
        with pytest.raises(ActionError) as caught:
            self.fragments.add(offset, size)
        assert caught.value.retcode == retcode

    @precondition(lambda self: self.added)
    @rule(data=st.data())
    def take_one_back(self, data: st.DataObject) -> None:
        offset, size = self.added.pop(data.draw(st.integers(0, len(self.added) - 1)))
        self.fragments.remove(offset, size)
        self.marks[offset : offset + size] = [False] * size

    @invariant()
    def it_counts_each_byte_once(self) -> None:
        assert self.fragments.received == sum(self.marks)

    @invariant()
    def it_joins_what_touches(self) -> None:
        assert len(self.fragments._starts) == len(self.fragments._ends) == self.runs(self.marks)

    @invariant()
    def it_knows_what_is_missing(self) -> None:
        if all(self.marks):
            self.fragments.demand_whole()
            return
        with pytest.raises(ActionError) as caught:
            self.fragments.demand_whole()
        missing = self.marks.count(False)
        text = f"{missing} of {SIZE} bytes are missing, the first at offset {self.marks.index(False)}"
        assert (caught.value.retcode, caught.value.message) == (FILE_MISMATCH, text)


Marking.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
test_it_marks_as_the_model_does = Marking.TestCase


def test_a_file_that_comes_in_order_is_one_run_however_small_its_parts_are():
    fragments = Fragments(10_000)
    for offset in range(10_000):
        assert fragments.add(offset, 1)
    assert fragments._starts == [0]
    fragments.demand_whole()


def test_an_empty_file_is_whole_from_the_start():
    fragments = Fragments(0)
    fragments.demand_whole()
    assert not fragments.add(0, 0)
    with pytest.raises(ActionError):
        fragments.add(0, 1)


def test_too_many_gaps_are_refused_and_can_be_filled():
    fragments = Fragments(100, max_runs=2)
    assert fragments.add(0, 1)
    assert fragments.add(2, 1)
    with pytest.raises(ActionError, match="gaps") as caught:
        fragments.add(4, 1)
    assert caught.value.retcode == TIRED
    assert fragments.add(1, 1)
    assert fragments.add(4, 1)

"""rawbot/aio/watching/line_queue.py: what goes in comes out or is counted."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rawbot.aio.watching.line_queue import LineQueue


def filled(*lines: str, max_waiting: int = 1000) -> LineQueue:
    queue = LineQueue(max_waiting=max_waiting)
    for line in lines:
        queue.add(line)
    return queue


def test_whole_lines_are_given_out_in_pieces_of_a_size():
    queue = filled("aaa\n", "bbb\n", "ccc\n")
    assert queue.take(8) == ["aaa\n", "bbb\n"]
    assert queue.take(8) == ["ccc\n"]
    assert queue.take(8) == []


def test_a_line_that_is_longer_than_a_piece_is_one_by_itself():
    queue = filled("a\n", "b" * 20, "c\n")
    assert [queue.take(8) for _ in range(3)] == [["a\n"], ["b" * 20], ["c\n"]]


def test_what_is_taken_out_holds_its_room_until_it_is_settled():
    queue = filled("a" * 10, max_waiting=9)
    lines = queue.take(100)
    assert (queue.waiting, len(queue)) == (10, 0)
    assert not queue.add("b")
    queue.settle(lines, written=True)
    assert queue.add("b")
    assert queue.dropped == 1


def test_the_limit_is_crossed_by_one_line_and_not_by_two():
    queue = LineQueue(max_waiting=10)
    assert [queue.add("x" * 6), queue.add("x" * 6), queue.add("x" * 6)] == [True, True, False]


def test_what_was_dropped_is_told_once():
    queue = filled("a", "b", "c", max_waiting=0)
    assert queue.dropped == 2
    queue.settle(queue.take(10), written=False)
    assert queue.dropped == 3
    assert (queue.untold(), queue.untold()) == (3, 0)


class QueueMachine(RuleBasedStateMachine):
    """Adds, takes and settles in any order, beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = LineQueue(max_waiting=40)
        self.inside: list[str] = []
        self.out: list[list[str]] = []
        self.added = self.written = self.lost = self.refused = self.told = 0

    def characters(self) -> int:
        return sum(len(line) for lines in (self.inside, *self.out) for line in lines)

    @rule(line=st.text("x", min_size=1, max_size=20))
    def add(self, line: str):
        room = self.characters() <= 40
        assert self.queue.add(line) == room
        if room:
            self.inside.append(line)
        self.added += 1
        self.refused += not room

    @rule(size=st.integers(1, 50))
    def take(self, size: int):
        lines = self.queue.take(size)
        assert lines == self.inside[: len(lines)]
        assert bool(lines) == bool(self.inside)
        assert len(lines) <= 1 or len("".join(lines)) <= size
        del self.inside[: len(lines)]
        self.out.append(lines)

    @precondition(lambda self: self.out)
    @rule(written=st.booleans())
    def settle(self, written: bool):  # noqa: FBT001 - made by Hypothesis
        lines = self.out.pop(0)
        self.queue.settle(lines, written=written)
        self.written += len(lines) * written
        self.lost += len(lines) * (not written)

    @rule()
    def tell(self):
        self.told += self.queue.untold()
        assert self.told == self.queue.dropped

    @invariant()
    def every_line_is_somewhere(self):
        assert self.queue.dropped == self.refused + self.lost
        assert len(self.queue) == len(self.inside)
        assert self.added == self.written + self.queue.dropped + len(self.inside) + sum(map(len, self.out))
        assert self.queue.waiting == self.characters()


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=50, stateful_step_count=30)

"""rawbot/vk/handoff.py: in order within each dialog, nothing left behind, and a position before which nothing waits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.vk.handoff import MAX_HELD, Handoff

NOW = 1_767_225_600.0
Update = tuple[str, int]
"""A dialog, and a number."""


class Taker:
    """Takes updates, but for those of dialogs without room."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.closed: set[str] = set()
        self.raising: dict[object, Exception] = {}
        self.handoff = Handoff(self.take, lambda update: update[0])

    def take(self, update: object, now: float) -> bool:
        assert now == NOW
        if update in self.raising:
            raise self.raising[update]
        if update[0] in self.closed:
            return False
        self.taken.append(update)
        return True

    def receive(self, *updates: Update, ts: str) -> None:
        self.handoff.receive(list(updates), ts, NOW)


def test_what_comes_is_handed_over_in_its_order():
    taker = Taker()
    taker.receive(("a", 1), ("b", 2), ("a", 3), ts="4")
    taker.receive(ts="5")
    assert taker.taken == [("a", 1), ("b", 2), ("a", 3)]
    assert (taker.handoff.position, len(taker.handoff), taker.handoff.full) == ("5", 0, False)


def test_a_dialog_without_room_holds_up_itself_and_no_other():
    taker = Taker()
    taker.closed = {"a"}
    taker.receive(("a", 1), ("b", 2), ("a", 3), ts="4")
    taker.receive(("a", 4), ("b", 5), ts="6")
    assert taker.taken == [("b", 2), ("b", 5)]
    assert (taker.handoff.position, len(taker.handoff)) == (None, 3)
    taker.closed = set()
    taker.receive(("a", 6), ts="7")
    assert taker.taken[2:] == [("a", 1), ("a", 3), ("a", 4), ("a", 6)]
    assert (taker.handoff.position, len(taker.handoff)) == ("7", 0)


def test_the_position_stays_before_the_first_that_waits():
    taker = Taker()
    taker.receive(("b", 0), ts="1")
    taker.closed = {"a"}
    taker.receive(("b", 1), ts="2")
    taker.receive(("a", 2), ts="3")
    taker.receive(("b", 3), ts="4")
    taker.closed = {"b"}
    taker.receive(("b", 4), ts="5")
    assert (taker.handoff.position, len(taker.handoff)) == ("4", 1)


def test_much_that_is_taken_behind_one_that_waits_is_not_remembered_one_by_one():
    taker = Taker()
    taker.closed = {"a"}
    taker.receive(("a", 0), ts="0")
    for number in range(1000):
        taker.receive(("b", number), ts=str(number + 1))
    assert len(taker.handoff._batches) == 1
    taker.closed = set()
    taker.handoff.offer(NOW)
    assert taker.handoff.position == "1000"


def test_a_room_that_opens_between_two_of_a_dialog_does_not_turn_their_order():
    taker = Taker()
    answers = iter([False, True, True])
    handoff = Handoff(lambda update, _: next(answers) and not taker.taken.append(update), lambda _: "a")
    handoff.receive([1, 2], "3", NOW)
    assert (taker.taken, len(handoff)) == ([], 2)
    handoff.offer(NOW)
    assert (taker.taken, handoff.position) == ([1, 2], "3")


def test_what_cannot_be_read_is_left_out_and_counted():
    taker = Taker()
    taker.raising[("a", 1)] = ProtocolError("no")
    taker.receive(("a", 1), ("a", 2), ts="3")
    assert taker.taken == [("a", 2)]
    assert (taker.handoff.unreadable, taker.handoff.failure, taker.handoff.position) == (1, None, "3")


def test_one_that_breaks_the_taker_is_left_out_and_told_of():
    taker = Taker()
    taker.raising[("a", 1)] = fault = KeyError("a fault of ours")
    taker.receive(("a", 1), ("a", 2), ts="3")
    assert taker.taken == [("a", 2)]
    assert (taker.handoff.unreadable, taker.handoff.failure, taker.handoff.position) == (1, fault, "3")


def test_what_cannot_be_kept_waits_with_all_that_follows():
    taker = Taker()
    taker.raising[("a", 1)] = fault = OSError("the disk is full")
    taker.receive(("b", 0), ("a", 1), ("b", 2), ts="3")
    assert taker.taken == [("b", 0)]
    assert (len(taker.handoff), taker.handoff.failure, taker.handoff.position) == (2, fault, None)
    taker.raising.clear()
    taker.handoff.offer(NOW)
    assert (taker.taken[1:], taker.handoff.position) == ([("a", 1), ("b", 2)], "3")


def test_many_that_wait_are_enough():
    taker = Taker()
    taker.closed = {"a"}
    taker.receive(*[("a", number) for number in range(MAX_HELD - 1)], ts="1")
    assert not taker.handoff.full
    taker.receive(("a", MAX_HELD), ts="2")
    assert taker.handoff.full


def test_what_waits_can_be_let_go_and_the_position_stays():
    taker = Taker()
    taker.receive(("a", 0), ts="1")
    taker.closed = {"a"}
    taker.receive(("a", 1), ts="2")
    taker.handoff.clear()
    taker.closed = set()
    taker.handoff.offer(NOW)
    assert (taker.taken, len(taker.handoff), taker.handoff.position) == ([("a", 0)], 0, "1")


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.lists(st.sampled_from("abc"), max_size=4)), max_size=8))
def test_nothing_is_lost_doubled_or_turned_around(steps: list[tuple[set[str], list[str]]]):
    taker, sent = Taker(), []
    for ts, (closed, dialogs) in enumerate(steps):
        taker.closed = closed
        batch = [(dialog, len(sent) + at) for at, dialog in enumerate(dialogs)]
        sent += batch
        taker.receive(*batch, ts=str(len(sent)))
        before = int(taker.handoff.position or 0)
        assert set(sent[:before]) <= set(taker.taken)
        assert len(taker.handoff) == len(sent) - len(taker.taken), ts
    taker.closed = set()
    taker.handoff.offer(NOW)
    assert sorted(taker.taken, key=lambda update: update[1]) == sent
    for dialog in "abc":
        assert [u for u in taker.taken if u[0] == dialog] == [u for u in sent if u[0] == dialog]
    assert taker.handoff.position == (str(len(sent)) if steps else None)


@pytest.mark.parametrize("make", [lambda: ProtocolError("x"), lambda: OSError("x"), lambda: ValueError("x")])
def test_no_failure_comes_out(make: Callable[[], Exception]):
    taker = Taker()
    taker.raising[("a", 1)] = make()
    taker.receive(("a", 1), ts="2")

"""rawbot/vk/growing.py: which replies are looked at as time passes."""

from math import inf

from rawbot.vk.growing import LOOK_EVERY, Growing


class Grower:
    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.looked: list[float] = []

    def grow(self, now: float) -> bool:
        self.looked.append(now)
        return self.answers.pop(0)


def test_without_anything_new_nothing_is_looked_at():
    assert Growing().tick(10.0) == inf


def test_one_that_was_shown_is_looked_at_when_it_has_grown_again():
    growing, reply = Growing(), Grower(False, False)
    growing.add(reply)
    growing.add(reply)
    assert growing.tick(10.0) == inf
    assert growing.tick(11.0) == inf
    growing.add(reply)
    growing.tick(12.0)
    assert reply.looked == [10.0, 12.0]


def test_one_that_could_not_be_shown_is_looked_at_again_soon():
    growing, reply = Growing(), Grower(True, False)
    growing.add(reply)
    assert growing.tick(10.0) == 10.0 + LOOK_EVERY
    assert len(growing) == 1
    assert growing.tick(10.5) == inf
    assert reply.looked == [10.0, 10.5]


def test_what_is_written_while_they_grow_comes_behind_those_that_wait():
    growing, first, second = Growing(), Grower(True, False), Grower(False)
    first.grow = lambda _: (growing.add(second), True)[1]
    growing.add(first)
    growing.tick(10.0)
    assert list(growing._replies) == [first, second]

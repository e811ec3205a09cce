"""benchmarks/measuring.py: rounds, ratios, contenders that fail. What is measured is no test's business."""

from collections.abc import Callable
from functools import partial

import pytest

from benchmarks.measuring import Contest, Failed, Series, fitting, interleave


def take_turn(order: list[str], name: str) -> dict[str, float]:
    order.append(name)
    return {"turn": float(len(order) - 1)}


def silent(_: str) -> None:
    pass


def test_contenders_take_turns_and_the_first_one_changes():
    order = []
    turns = {name: partial(take_turn, order, name) for name in "abc"}
    measured = interleave(turns, 3, progress=silent, prepare=lambda: order.append("|"))
    assert "".join(order) == "|abc|bca|cab"
    assert measured["b"]["turn"].rounds == (2.0, 5.0, 11.0)


def test_each_turn_is_told():
    told = []
    interleave({name: partial(take_turn, [], name) for name in "ab"}, 2, progress=told.append)
    assert told == ["round 1 of 2, a", "round 1 of 2, b", "round 2 of 2, b", "round 2 of 2, a"]


def failing(error: BaseException, after: int) -> Callable[[], dict[str, float]]:
    taken = iter(range(after))

    def turn() -> dict[str, float]:
        if next(taken, None) is None:
            raise error
        return {"turn": 1.0}

    return turn


def test_who_fails_is_out_of_it_and_the_others_go_on():
    contest = Contest({"good": partial(take_turn, [], "good"), "bad": failing(Failed("no"), 1)})
    contest.run(3, progress=silent)
    assert contest.failures == {"bad": "no"}
    assert list(contest.measured()) == ["good"]
    assert len(contest.measured()["good"]["turn"].rounds) == 3


def test_when_all_fail_nothing_is_measured():
    contest = Contest({"bad": failing(Failed("no"), 0)})
    contest.run(2, progress=silent)
    assert contest.measured() == {}


def test_of_a_contest_cut_short_the_complete_rounds_stay():
    contest = Contest({"first": partial(take_turn, [], "first"), "second": failing(KeyboardInterrupt(), 2)})
    with pytest.raises(KeyboardInterrupt):
        contest.run(5, progress=silent)
    assert {name: len(row["turn"].rounds) for name, row in contest.measured().items()} == {"first": 2, "second": 2}


def test_a_ratio_is_taken_within_each_round_before_the_median():
    ratio = Series((10.0, 40.0, 30.0)) / Series((5.0, 10.0, 10.0))
    assert ratio.rounds == (2.0, 4.0, 3.0)
    assert ratio.median == 3.0
    assert ratio.format() == "3.00 (2.20–3.80)"
    assert Series((7.0,)).format(".0f") == "7 (7–7)"


def test_a_turn_is_as_long_as_asked_within_bounds():
    assert fitting(0.001, 10.0) == 100
    assert fitting(0.001, 10.0, least=500) == 500
    assert fitting(1e9, 10.0, most=7) == 7

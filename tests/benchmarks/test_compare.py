"""benchmarks/compare.py: what has changed, whatever mood the machine was in."""

from collections.abc import Callable

import pytest

from benchmarks.compare import LESS, MORE, UNCHANGED, compare, judge_change
from benchmarks.measuring import Series
from benchmarks.tables import Table

Make = Callable[..., Table]


@pytest.mark.parametrize(
    ("then", "now", "judged"),
    [
        ((4.0, 4.1, 4.2), (4.1, 4.2, 4.3), UNCHANGED),
        ((4.0, 4.1, 4.2), (3.0, 3.1, 3.2), LESS),
        ((4.0, 4.1, 4.2), (5.0, 5.1, 5.2), MORE),
        ((4.0, 4.1, 9.9), (5.0, 5.1, 5.2), UNCHANGED),
        ((4.0,), (4.0,), UNCHANGED),
    ],
)
def test_a_change_within_the_spread_is_none(then: tuple[float, ...], now: tuple[float, ...], judged: str):
    assert judge_change(Series(then), Series(now)) == judged


def test_a_machine_that_is_slower_for_all_has_changed_nothing(make_table: Make):
    then = make_table(rawbot=(40.0, 41.0, 42.0), constant=(8.0, 8.0, 8.0))
    now = make_table(rawbot=(80.0, 82.0, 84.0), constant=(16.0, 16.0, 16.0))
    line = compare({64: then}, {64: now})[-1]
    assert line.split() == ["rawbot", "41.0", "82.0", "×", "1.00", *UNCHANGED.split()]


def test_what_is_faster_beside_the_constant_answer_is_told(make_table: Make):
    then = make_table(rawbot=(80.0, 81.0, 82.0), constant=(8.0, 8.0, 8.0))
    now = make_table(rawbot=(80.0, 81.0, 82.0), constant=(16.0, 16.0, 16.0))
    assert compare({64: then}, {64: now})[-1].split()[-3:] == ["×", "0.50", LESS]


def test_who_is_new_and_who_is_gone_is_told(make_table: Make):
    lines = compare({1: make_table(rawbot=1.0, constant=1.0, quart=9.0)}, {1: make_table(aiohttp=3.0, constant=1.0)})
    assert lines[1] == "1 connection, CPU µs/request"
    assert "aiohttp" in lines[3]
    assert "new here" in lines[3]
    assert lines[-1] == "measured then and not now: quart, rawbot"


def test_what_cannot_be_compared_is_told(make_table: Make):
    assert compare({}, {64: make_table(constant=1.0)}) == ["64 connections: not in the record"]
    assert "cannot be compared" in compare({1: make_table(rawbot=1.0)}, {1: make_table(constant=1.0)})[-1]

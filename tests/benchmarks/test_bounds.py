"""benchmarks/bounds.py: what must hold is judged, or said not to be."""

from collections.abc import Callable

import pytest

from benchmarks import callback, crypto
from benchmarks.bounds import BOUNDS, Verdict, judge, judge_callback, judge_crypto
from benchmarks.record import Result
from benchmarks.tables import Table

ALL = {
    "rawbot": 40.0, "rawbot_uvloop": 30.0, "langbot": 1000.0, "aiohttp": 130.0, "granian_uvloop": 90.0,
    "blacksheep_uvloop": 96.0, "constant": 8.0,
}  # fmt: skip


Judge = Callable[..., dict[str, Verdict]]


@pytest.fixture
def verdicts(make_table: Callable[..., Table]) -> Judge:
    def judge_made_up(scenario: str = "wecom-new", connections: int = 64, **cpu: float) -> dict[str, Verdict]:
        return {verdict.bound.title: verdict for verdict in judge(scenario, {connections: make_table(**cpu)})}

    return judge_made_up


def test_bounds_that_hold_are_met(verdicts: Judge):
    found = verdicts(**ALL)
    assert [verdict.met for verdict in found.values()] == [True] * 5
    assert found["rawbot / the best compiled peer"].text.endswith("of granian+uvloop")
    assert "0.44 (0.44–0.44)" in found["rawbot / the best compiled peer"].text


@pytest.mark.parametrize(
    ("slower", "missed"),
    [
        ({"rawbot": 47.0}, {"rawbot / aiohttp"}),
        ({"rawbot_uvloop": 41.0}, {"rawbot+uvloop / the best compiled peer"}),
        ({"langbot": 799.0}, {"rawbot / LangBot's client"}),
        ({"blacksheep": 70.0}, {"rawbot / the best compiled peer"}),
        ({"constant": 6.6}, {"rawbot / the constant answer"}),
    ],
)
def test_bounds_that_do_not_hold_are_missed(slower: dict[str, float], missed: set[str], verdicts: Judge):
    found = verdicts(**(ALL | slower))
    assert {title for title, verdict in found.items() if verdict.met is False} == missed


def test_cached_ciphers_are_no_contender_of_a_bound_but_told(verdicts: Judge):
    found = verdicts(**(ALL | {"granian_uvloop_cached": 50.0, "blacksheep_cached": 60.0}))[
        "rawbot / the best compiled peer"
    ]
    assert found.met
    assert found.text.endswith("of granian+uvloop; 0.80 of granian+uvloop+cached")


@pytest.mark.parametrize("absent", ["langbot", "aiohttp", "granian_uvloop", "blacksheep_uvloop", "constant", "rawbot"])
def test_a_bound_is_not_judged_without_those_it_is_about(absent: str, verdicts: Judge):
    found = verdicts(**{name: cpu for name, cpu in ALL.items() if name != absent})
    unjudged = [verdict for verdict in found.values() if verdict.met is None]
    assert unjudged
    assert all("not judged" in verdict.text for verdict in unjudged)


def test_bounds_are_those_of_64_connections(verdicts: Judge):
    assert {bound.connections for bound in BOUNDS} == {64}
    assert {verdict.met for verdict in verdicts(connections=1, **ALL).values()} == {None}


def test_polls_have_a_bound_of_their_own(verdicts: Judge):
    assert [verdict.met for verdict in verdicts("wecom-poll", **(ALL | {"rawbot": 46.0})).values()] == [False]


def test_onebot_is_judged_on_both_ways_beside_pylibob_and_its_log_is_told(verdicts: Judge):
    for scenario in ("onebot-http", "onebot-ws"):
        (found,) = verdicts(scenario, rawbot=20.0, pylibob=61.0, pylibob_uvloop=30.0, aiohttp=20.0).values()
        assert (found.met, found.text.endswith("of pylibob")) == (True, True)
        (found,) = verdicts(scenario, rawbot=20.0, pylibob=59.0).values()
        assert found.met is False
    (found,) = verdicts("onebot-http", **{"rawbot": 20.0, "pylibob": 61.0, "pylibob-run": 100.0}).values()
    assert found.text.endswith("of pylibob; 0.20 of pylibob-run")
    assert verdicts("onebot-http-new", rawbot=20.0, pylibob=61.0) == {}


def test_the_ratio_is_the_median_of_the_rounds(make_table: Callable[..., Table]):
    table = make_table(rawbot=(6, 7, 50), constant=(1, 1.25, 2))
    found = {verdict.bound.theirs: verdict for verdict in judge("wecom-new", {64: table})}
    assert found["constant"].ratio is not None
    assert found["constant"].ratio.rounds == (6.0, 5.6, 25.0)
    assert found["constant"].met


def result_of(*path: str, median: float) -> Result:
    figures: object = {"median": median}
    for key in reversed(path):
        figures = {key: figures}
    assert isinstance(figures, dict)
    return Result("any", [], figures)


def test_what_callback_and_crypto_must_hold_is_a_fault_when_it_is_missed():
    assert judge_callback(result_of("message", "ours_to_h11", median=callback.TARGET)) == ()
    assert judge_callback(result_of("message", "ours_to_h11", median=callback.TARGET + 0.1))
    size = str(crypto.TARGET_SIZE)
    assert judge_crypto(result_of(size, "fresh_to_ours", median=crypto.TARGET)) == ()
    assert judge_crypto(result_of(size, "fresh_to_ours", median=crypto.TARGET - 0.1))

"""rawbot/aio/watching/tallies.py: what happened is counted, and no peer can make the counts many."""

import asyncio

import pytest
from fake_endpoint import make_event
from hypothesis import given
from hypothesis import strategies as st

from rawbot.aio.watching.tallies import HANDLER_BUCKETS, MAX_KINDS, METHODS, OTHER, REQUEST_BUCKETS, Histogram, Tallies
from rawbot.errors import LimitError, ProtocolError
from rawbot.exchange import Request, Response


def answer(tallies: Tallies, route: str = "/a", method: str = "GET", status: int = 200, took: float = 0.001) -> None:
    tallies.answered(Request(method, route), route, Response(status), took, 0.0)


def test_answers_are_counted_by_route_method_and_status():
    tallies = Tallies()
    for route, method, status in [("/a", "GET", 200), ("/a", "GET", 200), ("/a", "POST", 403), ("", "GET", 404)]:
        answer(tallies, route, method, status)
    assert tallies.requests == {("/a", "GET", 200): 2, ("/a", "POST", 403): 1, ("", "GET", 404): 1}


def test_the_time_to_the_first_byte_is_kept_by_route():
    tallies = Tallies()
    for took in (0.00005, 0.0003, 7.0):
        answer(tallies, took=took)
    answer(tallies, "", status=404)
    assert set(tallies.request_seconds) == {"/a", ""}
    histogram = tallies.request_seconds["/a"]
    assert histogram.cumulative() == [1, 1, *[2] * (len(REQUEST_BUCKETS) - 2), 3]
    assert histogram.total == pytest.approx(7.00035)


def test_refusals_are_counted_by_status():
    tallies = Tallies()
    for error in (ProtocolError("x"), LimitError("x", status=431), ProtocolError("y")):
        tallies.refused(error, "192.0.2.1", 0.0)
    assert tallies.refusals == {400: 2, 431: 1}


def test_connections_are_counted_as_they_open():
    tallies = Tallies()
    tallies.opened()
    tallies.opened()
    tallies.closed()
    assert tallies.connections == 2


def test_handlers_are_counted_by_kind_and_end():
    tallies = Tallies()
    for kind, error in [
        ("message", None),
        ("message", ZeroDivisionError()),
        ("enter_chat", asyncio.CancelledError()),
        ("enter_chat", TimeoutError()),
    ]:
        tallies.handled(make_event(kind=kind), 0.2, error)
    assert {kind: h.cumulative()[-1] for kind, h in tallies.handler_seconds.items()} == {"message": 2, "enter_chat": 2}
    assert tallies.failures == {"message": 1, "enter_chat": 1}
    assert tallies.cancellations == {"enter_chat": 1}


@given(st.lists(st.text(max_size=8), max_size=40))
def test_what_a_peer_writes_as_its_method_makes_no_more_than_ten_counts(methods: list[str]):
    tallies = Tallies()
    for method in [*methods, *METHODS]:
        answer(tallies, method=method)
    assert {method for _, method, _ in tallies.requests} <= METHODS | {OTHER}
    assert sum(tallies.requests.values()) == len(methods) + len(METHODS)


@given(st.lists(st.text(max_size=3), max_size=200), st.booleans())
def test_event_kinds_are_told_apart_up_to_a_number(kinds: list[str], fails: bool):  # noqa: FBT001 - made by Hypothesis
    tallies = Tallies()
    for kind in [*kinds, *map(str, range(40))]:
        tallies.handled(make_event(kind=kind), 0.1, ValueError() if fails else None)
    assert len(tallies.handler_seconds) in (MAX_KINDS, MAX_KINDS + 1)
    assert sum(h.cumulative()[-1] for h in tallies.handler_seconds.values()) == len(kinds) + 40
    assert set(tallies.failures) <= set(tallies.handler_seconds)
    assert sum(tallies.failures.values()) == (len(kinds) + 40) * fails


@pytest.mark.parametrize("bounds", [REQUEST_BUCKETS, HANDLER_BUCKETS])
def test_the_bounds_rise(bounds: tuple[float, ...]):
    assert list(bounds) == sorted(set(bounds))


@given(st.lists(st.one_of(st.floats(0, 400), st.sampled_from(HANDLER_BUCKETS))))
def test_a_histogram_counts_what_is_at_most_each_bound(values: list[float]):
    """prometheus.io/docs/concepts/metric_types: `le` is less or equal, and the last bucket has them all."""
    histogram = Histogram(HANDLER_BUCKETS)
    for value in values:
        histogram.observe(value)
    expected = [sum(value <= bound for value in values) for bound in HANDLER_BUCKETS]
    assert histogram.cumulative() == [*expected, len(values)]
    assert histogram.total == pytest.approx(sum(values))

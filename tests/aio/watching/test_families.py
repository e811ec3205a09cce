"""rawbot/aio/watching/families.py: what the numbers are called, and what is not let in among them."""

import math

import pytest
from fake_endpoint import make_event
from hypothesis import given
from hypothesis import strategies as st
from scraping import OPEN_METRICS, busy_tallies, read
from watched_app import FakeEngine

from rawbot.aio.watching.exposition import Exposition
from rawbot.aio.watching.families import MAX_SERIES
from rawbot.aio.watching.tallies import Tallies
from rawbot.exchange import Figure, Request, Response


def show(*figures: tuple[str, Figure]) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return what is shown of these figures."""
    without = set(read(Exposition(Tallies(), FakeEngine)))
    shown = read(Exposition(Tallies(), lambda: FakeEngine(shown=list(figures))))
    return {name: series for name, series in shown.items() if name not in without}


@pytest.mark.parametrize("accept", ["", OPEN_METRICS])
def test_what_was_counted_is_shown(accept: str):
    shown = read(Exposition(busy_tallies(), lambda: None), accept)
    assert shown["rawbot_requests_total"] == {
        (("method", "GET"), ("route", "/a"), ("status", "200")): 1,
        (("method", "other"), ("route", ""), ("status", "404")): 1,
    }
    buckets = shown["rawbot_request_seconds_bucket"]
    assert buckets[("le", "0.0001"), ("route", "/a")] == 0
    assert buckets[("le", "0.00025"), ("route", "/a")] == buckets[("le", "+Inf"), ("route", "/a")] == 1
    assert shown["rawbot_request_seconds_count"] == {(("route", "/a"),): 1, (("route", ""),): 1}
    assert shown["rawbot_request_seconds_sum"][("route", "/a"),] == 0.0002
    assert shown["rawbot_refused_total"] == {(("status", "431"),): 1}
    assert shown["rawbot_connections_opened_total"] == {(): 1}
    assert shown["rawbot_handler_seconds_count"] == {(("kind", "message"),): 2}
    assert shown["rawbot_handler_failures_total"] == {(("kind", "message"),): 1}
    assert shown["rawbot_handler_cancellations_total"] == {(("kind", "message"),): 1}


def test_the_gauges_are_looked_up_at_the_moment_of_asking():
    engine = FakeEngine({1, 2, 3}, 4, 5, 6, 7, 8, 0.25, 0.5)
    exposition = Exposition(Tallies(), lambda: engine)
    gauges = {
        "connections": 3,
        "pending_replies": 4,
        "running_handlers": 5,
        "waiting_messages": 6,
        "outgoing_sending": 7,
        "outgoing_queued": 8,
        "loop_lag_seconds": 0.25,
        "loop_lag_max_seconds": 0.5,
        "ready": 1,
    }
    shown = read(exposition)
    assert {name: shown[f"rawbot_{name}"][()] for name in gauges} == gauges
    engine.pending = 9
    assert read(exposition)["rawbot_pending_replies"][()] == 9


@pytest.mark.parametrize(("started", "draining"), [(False, False), (True, True), (False, True)])
def test_an_app_that_starts_or_drains_is_not_ready(started: bool, draining: bool):  # noqa: FBT001 - parameters of the table
    exposition = Exposition(Tallies(), lambda: FakeEngine(started=started, draining=draining))
    assert read(exposition)["rawbot_ready"][()] == 0


def test_of_an_app_that_does_not_run_there_are_counts_and_no_gauges():
    shown = read(Exposition(busy_tallies(), lambda: None))
    assert "rawbot_requests_total" in shown
    assert "rawbot_ready" not in shown


def test_names_follow_prometheus_conventions():
    """prometheus.io/docs/practices/naming: base units, and _total behind counters and nothing else."""
    exposition = Exposition(busy_tallies(), FakeEngine)
    for family in exposition.collect():
        assert family.name.startswith("rawbot_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_total", "_milliseconds", "_ms"))
        assert (family.unit == "seconds") == family.name.endswith("_seconds")


# The endpoints' own figures


def test_figures_are_shown_with_their_routes():
    assert show(
        ("/a", Figure("streams_open", "gauge", 3, "Streams that grow.")),
        ("/b", Figure("streams_open", "gauge", 4, "Streams that grow.")),
        ("/a", Figure("crypto_failures", "counter", 5, "Refused.", (("code", "-40001"),))),
        ("/a", Figure("crypto_failures", "counter", 6, "Refused.", (("code", "-40005"),))),
    ) == {
        "rawbot_streams_open": {(("route", "/a"),): 3, (("route", "/b"),): 4},
        "rawbot_crypto_failures_total": {
            (("code", "-40001"), ("route", "/a")): 5,
            (("code", "-40005"), ("route", "/a")): 6,
        },
    }


GOOD = ("/a", Figure("good", "gauge", 1, "Good."))


@pytest.mark.parametrize(
    "figure",
    [
        Figure("pending_replies", "gauge", 1, "A name of ours."),
        Figure("requests", "counter", 1, "Another."),
        Figure("request_seconds_bucket", "gauge", 1, "A part of one."),
        Figure("done_total", "counter", 1, "A counter that says so itself."),
        Figure("no-name", "gauge", 1, "A dash."),
        Figure("", "gauge", 1, "Nothing."),
        Figure("a", "gauge", 1, "A label of ours.", (("route", "x"),)),
        Figure("a", "gauge", 1, "A label that histograms have.", (("le", "x"),)),
        Figure("a", "gauge", 1, "A label for Prometheus itself.", (("__name__", "x"),)),
        Figure("a", "gauge", 1, "A label twice.", (("b", "x"), ("b", "y"))),
        Figure("good", "counter", 1, "Another kind."),
        Figure("good", "gauge", 1, "Other labels.", (("b", "x"),)),
    ],
    ids=lambda figure: figure.help,
)
def test_a_figure_that_prometheus_would_refuse_does_not_cost_the_others(figure: Figure):
    assert show(GOOD, ("/a", figure)) == {"rawbot_good": {(("route", "/a"),): 1}}


def test_the_same_series_twice_is_shown_once():
    assert show(GOOD, GOOD) == {"rawbot_good": {(("route", "/a"),): 1}}


def test_labels_that_a_peer_can_choose_have_an_end():
    many = [("/a", Figure("chats", "gauge", 1, "Chats.", (("chat", str(number)),))) for number in range(1000)]
    assert len(show(*many)["rawbot_chats"]) == MAX_SERIES


@given(st.text(max_size=10), st.text(max_size=10), st.floats())
def test_any_route_label_and_value_can_be_shown(route: str, label: str, value: float):
    tallies = Tallies()
    tallies.answered(Request("GET", "/"), route + "\ud800", Response(200), 0.1, 0.0)
    tallies.handled(make_event(kind=label + "\udfff"), 0.1, None)
    figure = Figure("a", "gauge", value, 'Help with "quotes",\nlines and \\.', (("b", label),))
    exposition = Exposition(tallies, lambda: FakeEngine(shown=[(route, figure)]))
    for accept in ("", OPEN_METRICS):
        shown = read(exposition, accept)["rawbot_a"][("b", label), ("route", route)]
        assert shown == value or (math.isnan(shown) and math.isnan(value))

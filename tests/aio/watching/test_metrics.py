"""rawbot/aio/watching/metrics.py: an observer, an endpoint, and an extra that may be missing."""

import sys

import prometheus_client
import pytest
from watched_app import FakeApp

from rawbot.aio.watching.metrics import Metrics, MetricsEndpoint
from rawbot.aio.watching.observer import Observer
from rawbot.errors import ConfigError, MissingExtraError
from rawbot.exchange import Request, Response


def scrape(endpoint: MetricsEndpoint, *accept: bytes) -> Response:
    return endpoint.receive(Request("GET", "/metrics", "", [(b"accept", value) for value in accept]), 0.0).response


def test_the_endpoint_shows_what_was_counted_and_what_is():
    metrics = Metrics()
    assert isinstance(metrics, Observer)
    endpoint = MetricsEndpoint(FakeApp(pending=7), metrics=metrics)
    metrics.answered(Request("GET", "/a"), "/a", Response(200), 0.1, 0.0)
    response = scrape(endpoint)
    assert response.status == 200
    assert b'rawbot_requests_total{method="GET",route="/a",status="200"} 1.0\n' in response.body
    assert b"rawbot_pending_replies 7.0\n" in response.body
    assert (b"cache-control", b"no-store") in response.headers


def test_the_form_is_negotiated_over_all_accept_fields():
    endpoint = MetricsEndpoint(FakeApp(), metrics=Metrics())
    assert scrape(endpoint).content_type.startswith(b"text/plain; version=0.0.4")
    assert scrape(endpoint, b"text/plain", b"application/openmetrics-text").body.endswith(b"# EOF\n")


def test_it_needs_no_bot_and_lets_nobody_write():
    endpoint = MetricsEndpoint(FakeApp(), metrics=Metrics())
    assert not endpoint.needs_bot
    assert endpoint.methods == ("GET",)


def test_before_and_after_the_app_runs_the_counts_are_shown():
    app, metrics = FakeApp(), Metrics()
    metrics.opened()
    app.running = None
    assert b"rawbot_connections_opened_total 1.0\n" in scrape(MetricsEndpoint(app, metrics=metrics)).body
    assert b"rawbot_connections_opened_total 1.0\n" in metrics.encode()[0]


def test_what_a_bot_counts_itself_is_shown_with_the_rest():
    metrics = Metrics()
    prometheus_client.Counter("tokens", "Tokens used.", registry=metrics.registry).inc(5)
    assert b"tokens_total 5.0\n" in metrics.encode()[0]


def test_metrics_are_of_one_app():
    app, metrics = FakeApp(), Metrics()
    metrics.watch(app)
    metrics.watch(app)  # shown in two places
    with pytest.raises(ConfigError, match="another app's"):
        metrics.watch(FakeApp())


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "rawbot.aio.watching.exposition", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'rawbot\[metrics\]'") as caught:
        Metrics()
    assert caught.value.extra == "metrics"

"""rawbot/aio/watching/exposition.py: both forms, whatever a peer asks for, and each app by itself."""

from importlib.metadata import PackageNotFoundError

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scraping import OPEN_METRICS, busy_tallies, read

from rawbot.aio.watching import version as module
from rawbot.aio.watching.exposition import Exposition
from rawbot.aio.watching.tallies import Tallies

PROMETHEUS = (
    f"{OPEN_METRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPEN_METRICS};version=0.0.1;q=0.5,text/plain;q=0.3"
)
"""What Prometheus 3 sends as Accept, shortened."""


def test_version_process_platform_and_collector_are_shown(monkeypatch: pytest.MonkeyPatch):
    shown = read(Exposition(Tallies(), lambda: None))
    assert {"process_cpu_seconds_total", "python_info", "python_gc_collections_total"} <= set(shown)
    monkeypatch.setattr(module, "version", lambda _: "1.2.3")
    assert read(Exposition(Tallies(), lambda: None))["rawbot_build_info"] == {(("version", "1.2.3"),): 1}


def test_a_version_that_nobody_knows_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch):
    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", unknown)
    assert read(Exposition(Tallies(), lambda: None))["rawbot_build_info"] == {(("version", "unknown"),): 1}


# Which form


@pytest.mark.parametrize(
    ("accept", "start"),
    [
        ("", b"text/plain; version=0.0.4"),
        ("*/*", b"text/plain; version=0.0.4"),
        ("text/html, text/plain", b"text/plain; version=0.0.4"),
        (PROMETHEUS, b"application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("Application/OpenMetrics-Text", b"application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_accept_decides_between_text_and_open_metrics(accept: str, start: bytes):
    assert Exposition(Tallies(), lambda: None).encode(accept)[1].startswith(start)


@given(st.text(max_size=30), st.sampled_from(["text/plain", OPEN_METRICS]))
def test_nothing_that_a_peer_writes_into_accept_breaks_it_or_comes_back(anything: str, kind: str):
    exposition = Exposition(Tallies(), lambda: None)
    assert exposition.encode(f"{kind}; version={anything}")[1] in {exposition.encode(a)[1] for a in ("", OPEN_METRICS)}


# Several apps


def test_two_apps_in_a_process_do_not_meet():
    first, second = Exposition(busy_tallies(), lambda: None), Exposition(Tallies(), lambda: None)
    assert read(first)["rawbot_connections_opened_total"] == {(): 1}
    assert read(second)["rawbot_connections_opened_total"] == {(): 0}
    assert b"rawbot" not in prometheus_client.generate_latest(prometheus_client.REGISTRY)
